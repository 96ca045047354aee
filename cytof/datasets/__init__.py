"""Examples that need no download: everything synthetic, documented and seeded.

Examples
--------
>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     print(patient(folder, scale=0.01).name)
study.yaml
"""

from __future__ import annotations

from cytof.datasets._cohort import CUTOFF, cohort, cohort_tables
from cytof.datasets._patient import patient
from cytof.datasets._phenotypes import VISITS, Visit, composition, levels, phenotypes

__all__ = [
    "CUTOFF", "VISITS", "Visit", "cohort", "cohort_tables", "composition", "levels", "patient", "phenotypes",
]  # fmt: skip
