"""Which gate of which sample to look at first: flags, and thresholds and shares far from the other samples'."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

__all__ = ["unusual"]

_FLAG = {
    "ok": 0.0,
    "shallow valley": 1.5,
    "few events": 1.5,
    "blank differs from T": 1.5,
    "far from the cohort": 3.0,
    "fallback": 3.0,
    "empty": 2.0,
}
_SPREAD = 0.15  # arcsinh units: thresholds that differ by less do not differ
_LOGIT = 0.3


def unusual(
    thresholds: pd.DataFrame, counts: pd.DataFrame, gates: Sequence[str], samples: Iterable[str]
) -> pd.DataFrame:
    """Return the samples, the one with the most unusual gate first.

    A gate's score is the sum of its flag's weight, of the distance of its threshold and of its share of the parent
    (log odds) from the median of all samples, both in robust standard deviations (never less than 0.15 and 0.3, so that
    samples that agree do not look unusual).

    Parameters
    ----------
    thresholds, counts
        Tables of the gate stage.
    gates
        Paths that are looked at; one of them alone gives the order of the samples for this gate.
    samples
        Samples of the sheet; one without rows comes last.

    Returns
    -------
    DataFrame ``sample_id gate score why``, one row a sample: its most unusual gate.

    Examples
    --------
    >>> table = pd.DataFrame({"sample_id": ["a", "b"], "gate": "CD3+", "value": [2.0, 2.0], "flag": ["ok", "fallback"]})
    >>> n = pd.DataFrame({"sample_id": ["a", "b"], "gate": "CD3+", "n": 10, "n_parent": 20})
    >>> unusual(table, n, ["CD3+"], ["a", "b"])[["sample_id", "why"]].values.tolist()
    [['b', 'fallback'], ['a', '']]
    """
    known = set(gates)
    table = thresholds[thresholds["gate"].isin(known)].copy()
    table["flagged"] = table["flag"].map(_FLAG).fillna(1.0)
    table["moved"] = _distance(table, "value", _SPREAD)
    table = table.groupby(["sample_id", "gate"], sort=False).agg(
        flagged=("flagged", "max"), moved=("moved", "max"), flag=("flag", "last")
    )
    shares = counts[counts["gate"].isin(known)].copy()
    n, total = shares["n"].astype(float), shares["n_parent"].astype(float)
    shares["logit"] = np.log((n + 0.5) / (total - n + 0.5)).where(total > 0)
    shares["share"] = _distance(shares, "logit", _LOGIT)
    table = table.join(shares.set_index(["sample_id", "gate"])["share"], how="left").fillna({"moved": 0, "share": 0})
    table["score"] = table["flagged"] + table["moved"] + table["share"]
    worst = table.reset_index().sort_values("score", ascending=False, kind="stable").drop_duplicates("sample_id")
    worst["why"] = [_why(r) for r in worst.itertuples()]
    missing = [s for s in map(str, samples) if s not in set(worst["sample_id"])]
    rest = pd.DataFrame({"sample_id": missing, "gate": gates[0], "score": 0.0, "why": "not gated"})
    return pd.concat([worst[["sample_id", "gate", "score", "why"]], rest], ignore_index=True)


def _distance(table: pd.DataFrame, column: str, least: float) -> pd.Series:
    """Return how many robust standard deviations each value lies from the median of its gate, at most 10."""
    by = table.groupby("gate")[column]
    away = (table[column] - by.transform("median")).abs()
    spread = away.groupby(table["gate"]).transform("median") * 1.4826
    return (away / spread.clip(lower=least)).clip(upper=10)


def _why(row: object) -> str:
    said = [str(row.flag)] if row.flag != "ok" else []  # type: ignore[attr-defined]
    if row.moved >= 2:  # type: ignore[attr-defined]
        said.append("threshold far from the other samples'")
    if row.share >= 3:  # type: ignore[attr-defined]
        said.append("share far from the other samples'")
    return "; ".join(said)
