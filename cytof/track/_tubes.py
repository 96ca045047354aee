"""Replicate tubes of one patient and day, counted together."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cytof.track._detection import CV, detected, limit_of_sum

__all__ = ["pooled_tubes"]

_KEYS = ("patient_id", "day", "population", "denominator")


def pooled_tubes(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of shares with one row a patient, day and population; ``note`` tells what was pooled.

    Cells and denominators of the tubes are summed, the counts of false cells too; each tube's blanks are its own, so
    that the variances of the false counts add up, and the limits follow (:func:`cytof.track._detection.limit_of_sum`).
    ``per_ul`` is the pooled share x the mean of the blood counts. A gate without blanks stays without a call.

    Parameters
    ----------
    table
        Rows of :func:`cytof.track.abundance` that are evaluable, with ``blood`` (cells per microlitre) and ``note``.

    Examples
    --------
    >>> tubes = pd.DataFrame({"patient_id": "P1", "day": 60.0, "population": "CAR+", "denominator": "CD45+",
    ...     "n": [20, 16], "n_denominator": [10_000, 8_000], "fraction": 0.002, "false_expected": 0.0, "lob": 4.0,
    ...     "loq": 25.0, "call": "below LOQ", "per_ul": 2.0, "blood": 1000.0, "note": ""})
    >>> pooled_tubes(tubes)[["n", "n_denominator", "fraction", "call", "note"]].values.tolist()
    [[36, 18000, 0.002, 'detected', '2 tubes of day 60 counted together']]
    """
    keys = [k for k in _KEYS if k in table]
    if not table.duplicated(keys).any():
        return table
    rows = [own.iloc[0] if len(own) == 1 else _one(own) for _, own in table.groupby(keys, sort=False)]
    return pd.DataFrame(rows).astype(table.dtypes).reset_index(drop=True)


def _one(tubes: pd.DataFrame) -> pd.Series:
    row = tubes.iloc[0].copy()
    row["n"], row["n_denominator"] = tubes["n"].sum(), tubes["n_denominator"].sum()
    row["fraction"] = row["n"] / row["n_denominator"]
    if tubes["blood"].notna().any():
        row["blood"] = tubes["blood"].mean()
    row["per_ul"] = row["fraction"] * row["blood"]
    row["note"] = f"{len(tubes)} tubes of day {row['day']:g} counted together"
    if (tubes["call"] == "").any():
        row["call"], row["loq"] = "", np.nan
        return row
    false = tubes["false_expected"].fillna(0) if "false_expected" in tubes else pd.Series(0.0, index=tubes.index)
    spread = float((CV**2 * tubes["loq"] ** 2 - tubes["loq"]).clip(lower=0).sum())
    least = float(tubes["lob"].max()) if "lob" in tubes else np.nan
    limit = limit_of_sum(float(false.sum()), spread, least)
    row["loq"] = limit.loq
    for name, value in (("false_expected", float(false.sum())), ("lob", limit.lob), ("lod", np.nan)):
        if name in tubes:
            row[name] = value
    there = row["n"] > limit.lob if np.isfinite(limit.lob) else tubes["call"].isin(["detected", "below LOQ"]).any()
    row["call"] = detected(float(row["n"]), float(false.sum()), limit.loq) if there else "not detected"
    return row
