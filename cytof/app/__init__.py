"""The screen a lab scientist works at: gates reviewed and clusters explored in a local page. Extra ``app`` (Bokeh).

``review`` serves a study on this machine alone; in Jupyter it shows the same page in the cell.
"""

from cytof.app._serve import review

__all__ = ["review"]
