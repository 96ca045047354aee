"""Every name of a slot, once: obs, var, layers, obsm, obsp and uns of the AnnData, and the columns of the tables."""

from __future__ import annotations

from typing import Final

__all__ = ["Layers", "OBSM", "Obs", "Roles", "SCHEMA", "Tables", "UNS", "Var"]

UNS: Final = "cytof"
"""``adata.uns[UNS]`` holds ``schema panel gates counts thresholds blanks features som metaclusters consensus som_tree
stability stability_runs names merging steps warnings run``; a second clustering has ``som:<key>`` ... beside them.
``run`` is the JSON of inputs, settings, seeds, gates and versions."""

SCHEMA: Final = 1
"""Version of the layout of the AnnData; raised when a slot moves."""


class Obs:
    """Columns of ``obs``, one row a cell."""

    SAMPLE = "sample_id"
    PATIENT = "patient_id"
    TIMEPOINT = "timepoint"
    DAY = "day"
    BATCH = "batch_id"
    CONDITION = "condition"
    EVENT = "event"
    GATE = "gate"
    CAR = "car"
    SUBSET = "subset"
    FLOWSOM = "flowsom"
    PHENOGRAPH = "phenograph"
    IN_FIT = "in_fit"
    PLACED = "placed"
    WEIGHT = "weight"


class Var:
    """Columns of ``var``, one row a channel; the index is the antigen."""

    CHANNEL = "channel"
    METAL = "metal"
    MASS = "mass"
    ANTIGEN = "antigen"
    MARKER_CLASS = "marker_class"
    ROLE = "role"
    COFACTOR = "cofactor"


class Layers:
    """Layers beside X (arcsinh float32)."""

    COUNTS = "counts"


class OBSM:
    """Maps."""

    TSNE = "X_tsne"
    UMAP = "X_umap"


class Roles:
    """Values of ``role`` and ``marker_class`` in a panel."""

    ALL = (
        "lineage", "car", "dna", "viability", "bead", "barcode", "gaussian", "time", "event_length", "none",
    )  # fmt: skip
    CLASSES = ("type", "state", "none")


class Tables:
    """Fixed columns of the tidy tables, in order."""

    SHEET = ("file_name", "sample_id", "patient_id", "timepoint", "day", "batch_id", "condition", "control")
    COUNTS = ("sample_id", "gate", "parent", "n", "n_parent", "fraction_of_parent", "flag")
    THRESHOLDS = (
        "sample_id", "gate", "channel", "method", "value", "low", "high", "depth", "n", "flag", "region",
        "blank",
    )  # fmt: skip
    BLANKS = (
        "sample_id", "gate", "blank", "n", "n_above", "rate", "rate_high", "limit", "shift_median", "shift_q95",
        "doublets", "doublets_above", "doublets_expected", "false_expected", "false_low", "false_high", "missed",
        "band_low", "band_high",
    )  # fmt: skip
    ABUNDANCE = (
        "sample_id", "patient_id", "timepoint", "day", "population", "n", "denominator", "n_denominator", "fraction",
        "ci_low", "ci_high", "band_low", "band_high", "false_expected", "lob", "lod", "loq", "call", "per_ul",
        "per_ul_low", "per_ul_high", "per_ul_of",
    )  # fmt: skip
    STATE = (
        "sample_id", "patient_id", "timepoint", "day", "subset", "marker", "n", "mean", "median", "positive_fraction",
        "positive_low", "positive_high", "reason",
    )  # fmt: skip
    TEST = (
        "subset", "marker", "contrast", "unit", "n_units", "estimate", "ci_low", "ci_high", "statistic", "p", "q",
        "test",
    )  # fmt: skip
    STEPS = ("step", "params", "random_state", "version")
    WARNINGS = ("sample_id", "where", "found", "done", "level")
