"""A study on disk: ``study.yaml`` read, checked, and begun from FCS files."""

from cytof.study._check import CheckResult, barcode_faults, check
from cytof.study._load import load
from cytof.study._new import new
from cytof.study._settings import Study

__all__ = ["CheckResult", "Study", "barcode_faults", "check", "load", "new"]
