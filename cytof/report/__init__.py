"""Study -> files: the paper's figure set with the numbers behind it, report.html and methods.md.

:func:`write` does all of it; :func:`figures` draws the set alone; :func:`study_tables` makes the tables that both read;
:func:`clinical` writes the page of the clinical wing.
"""

from cytof.report._clinical import clinical
from cytof.report._figures import Drawn, figures, gate_pages
from cytof.report._gates import gate_page, gate_views, page_height
from cytof.report._methods import methods_text
from cytof.report._sheet import save
from cytof.report._tables import Settings, StudyTables, study_tables
from cytof.report._write import write

__all__ = [
    "Drawn",
    "Settings",
    "StudyTables",
    "clinical",
    "figures",
    "gate_page",
    "gate_pages",
    "gate_views",
    "methods_text",
    "page_height",
    "save",
    "study_tables",
    "write",
]
