"""A course: what one assay measured in one patient over the days."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cytof._check import has_columns
from cytof.errors import InputError

__all__ = ["COURSE", "checked"]

COURSE = ("patient_id", "day", "assay", "value", "unit", "limit", "below_limit")
"""Columns of a course. ``limit``: of quantification, in ``unit``; ``below_limit``: the value lies below it (and is not
read)."""


def checked(courses: pd.DataFrame, *, where: str = "courses") -> pd.DataFrame:
    """Return the courses by patient, assay and day, with plain types, or tell every row that cannot be used.

    Parameters
    ----------
    courses
        Columns ``keys`` :data:`COURSE`; optional ``detected`` (bool: seen, though perhaps not quantified; default: not
        below the limit), ``after_reinfusion`` (bool: taken after another CAR T product; default: none) and ``note``
        (text of a row, for instance what was pooled).
    where
        Name of the table in messages.

    Raises
    ------
    UsageError
        A column is missing.
    InputError
        A row without a day or a value, a negative value, two rows of one day, two units in one course.

    Examples
    --------
    >>> rows = {"patient_id": "P1", "day": [28, 14], "assay": "CyTOF", "value": [1.0, 3.0], "unit": "%", "limit": 0.1,
    ...         "below_limit": False}
    >>> checked(pd.DataFrame(rows))["day"].tolist()
    [14.0, 28.0]
    """
    has_columns(courses.columns, COURSE, where=where)
    table = courses.reset_index(drop=True)
    for name in ("day", "value", "limit"):
        numbers = pd.to_numeric(table[name], errors="coerce").astype(float)
        bad = numbers.isna() & table[name].notna()
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(f"`{table[name].iloc[row]}` is no number", where=f"{where}:{row}: {name}")
        table[name] = numbers
    for name in ("patient_id", "assay", "unit"):
        table[name] = table[name].astype(str)
    table["below_limit"] = table["below_limit"].astype(bool)
    flags = {"detected": ~table["below_limit"], "after_reinfusion": pd.Series(False, index=table.index)}
    for name, default in flags.items():
        table[name] = table[name].astype(bool) if name in table else default
    table["note"] = table["note"].fillna("").astype(str) if "note" in table else ""
    _assert_usable(table, where)
    return table.sort_values(["patient_id", "assay", "day"], kind="stable", ignore_index=True)


def _assert_usable(table: pd.DataFrame, where: str) -> None:
    quantified = ~table["below_limit"]
    faults = [
        (~np.isfinite(table["day"]), "no day"),
        (quantified & ~np.isfinite(table["value"]), "no value, and not marked below the limit"),
        (quantified & (table["value"] < 0), "a negative value"),
        (table.duplicated(["patient_id", "assay", "day"], keep=False), "several rows of one patient, assay and day"),
    ]
    for bad, found in faults:
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            one = table.iloc[row]
            raise InputError(
                f"{found} (patient `{one['patient_id']}`, assay `{one['assay']}`, day {one['day']:g})"
                + (f", and in {int(bad.sum()) - 1} more rows" if bad.sum() > 1 else ""),
                where=f"{where}:{row}",
                hint="give one row a day with `day value`, or `below_limit` with the `limit`",
            )
    units = table.groupby(["patient_id", "assay"])["unit"].unique()
    mixed = units[units.map(len) > 1]
    if len(mixed):
        patient, assay = mixed.index[0]
        raise InputError(
            f"patient `{patient}` has units {', '.join(map(repr, mixed.iloc[0]))} in one course of `{assay}`",
            where=where,
            hint="convert to one unit, or give each unit an assay of its own",
        )
