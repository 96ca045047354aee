"""What cleaning did, for the page and the methods text: read from the step records that travel with the cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from cytof import clean

__all__ = ["agreement", "agreement_words", "cleaning_words", "limits_table"]

Cite = Callable[..., str]
_STEPS = {"find_beads": "calibration beads", "unsteady": "unsteady windows of time", "debris": "debris",
          "doublet": "doublets", "dead": "dead cells"}  # fmt: skip
_NEAR = 0.1  # a difference from the manual chain that needs no explanation


def limits_table(steps: Mapping[str, Any], waterfall: pd.DataFrame | None) -> pd.DataFrame | None:
    """Return the limits of the clean-up of every sample and what each takes out alone (:func:`cytof.clean.limits`).

    Parameters
    ----------
    steps
        Step -> sample -> record.
    waterfall
        Events left after each step, for the events of each file.
    """
    if waterfall is None or not len(waterfall):
        return None
    total = waterfall.drop_duplicates("sample_id").set_index("sample_id")["n_left"]
    tables = []
    for sample, n in total.items():
        own = {step: of[sample] for step, of in steps.items() if sample in of and "by_channel" in of[sample]}
        tables.append(clean.limits(str(sample), own, int(n)))
    found = pd.concat(tables, ignore_index=True)
    return found if len(found) else None


def agreement(steps: Mapping[str, Any]) -> pd.DataFrame | None:
    """Return our clean-up beside the imported gates (:func:`cytof.clean.against`), None where none were imported."""
    found = [pd.DataFrame(r["table"]).assign(sample_id=s) for s, r in steps.get("against_manual", {}).items()]
    return pd.concat(found, ignore_index=True)[list(clean.AGREEMENT)] if found else None


def agreement_words(table: pd.DataFrame | None) -> list[str]:
    """Say for each sample how far the imported gates and the automatic clean-up part, and where.

    Examples
    --------
    >>> rows = [("s1", "singlets", 90, 95, 88, 2, 7, 7), ("s1", "live", 60, 95, 60, 0, 35, 28)]
    >>> print(agreement_words(pd.DataFrame(rows, columns=list(clean.AGREEMENT)))[0])
    s1: the imported gates keep 60 events at `live`, the automatic clean-up 95; 60 events are in both. Of the 35 that \
the automatic clean-up keeps alone most are lost at `live` (28), `singlets` (7).
    """
    said = []
    for sample, part in [] if table is None else table.groupby("sample_id", sort=False):
        last = part.iloc[-1]
        words = (
            f"{sample}: the imported gates keep {last.n_manual:,} events at `{last.gate}`, the automatic clean-up "
            f"{last.n_automatic:,}; {last.n_both:,} events are in both."
        )
        if abs(last.n_automatic - last.n_manual) > _NEAR * max(last.n_manual, 1):
            deep = part[part["lost_here"] > 0].nlargest(3, "lost_here", keep="first")
            where = ", ".join(f"`{g}` ({n:,})" for g, n in zip(deep["gate"], deep["lost_here"], strict=True))
            words += (
                f" Of the {last.only_automatic:,} that the automatic clean-up keeps alone most are lost at {where}."
            )
            words += f" {last.only_manual:,} are kept by the imported gates alone." if last.only_manual else ""
        said.append(words)
    return said


def cleaning_words(steps: Mapping[str, Any], cite: Cite) -> str:
    """Return the sentences of the methods text on cleaning, in the order of the steps that ran.

    Parameters
    ----------
    steps
        Step -> sample -> record.
    cite
        Returns the number of a reference.

    Examples
    --------
    >>> record = {"s1": {"params": {"norm_to": "beads.csv", "slopes": "mass", "window": 204}, "counts": {"fitted": 90}}}
    >>> print(cleaning_words({"normalize_beads": record}, lambda name: "[1]"))
    Signals were normalised by the beads [1]: running medians of 204 beads, one slope a bead mass, to the reference \
beads.csv.
    """
    parts = [sentence(steps[step], cite) for step, sentence in _SENTENCES.items() if step in steps]
    ran = [w for s, w in _STEPS.items() if s in steps or (s == "unsteady" and "steady" in steps)]
    if ran:
        z = next((p["z"] for s in ("debris", "doublet", "dead") for p in _params(steps.get(s, {})) if "z" in p), None)
        limits = f" (limits at {z:g} robust standard deviations of each file's own cells)" if z else ""
        parts.append(f"Events flagged as {_listed(ran)} were left out{limits}.")
    return " ".join(p for p in parts if p)


def _params(of: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [dict(record.get("params", {})) for record in of.values() if isinstance(record, Mapping)]


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _range(values: list[float], digits: str = ",.0f") -> str:
    low, high = format(min(values), digits), format(max(values), digits)
    return low if low == high else f"{low} to {high}"


def _remove_dither(of: Mapping[str, Any], cite: Cite) -> str:
    return "The dither that the instrument adds to counts was removed by rounding up to whole counts."


def _add_dither(of: Mapping[str, Any], cite: Cite) -> str:
    seed = next((f", seed {p['random_state']}" for p in _params(of) if "random_state" in p), "")
    return f"Whole counts were dithered uniformly{seed}."


def _compensate(of: Mapping[str, Any], cite: Cite) -> str:
    methods = {"nnls": "non-negative least squares", "linear": "the inverse of the spillover matrix"}
    named = sorted({methods.get(str(p.get("method")), str(p.get("method"))) for p in _params(of)})
    channels = _range([float(len(p.get("channels", []))) for p in _params(of)])
    return f"Spillover between {channels} channels was taken out by {', '.join(named)} {cite('spill')}."


def _normalize(of: Mapping[str, Any], cite: Cite) -> str:
    params = _params(of)
    window = _range([float(p["window"]) for p in params])
    slope = "one slope for all masses" if params[0]["slopes"] == "common" else "one slope a bead mass"
    to = sorted({str(p["norm_to"]) for p in params})
    goal = "each file's own median beads" if to == ["median"] else f"the reference {', '.join(to)}"
    return (
        f"Signals were normalised by the beads {cite('beads')}: running medians of {window} beads, {slope}, to {goal}."
    )


def _steady(of: Mapping[str, Any], cite: Cite) -> str:
    p = _params(of)[0]
    return (
        f"Windows of time were flagged where the event rate changed by more than a factor of {p['rate']:g} or a "
        f"signal by more than {p['drift']:g}."
    )


def _debarcode(of: Mapping[str, Any], cite: Cite) -> str:
    params = _params(of)
    cutoffs = [float(v) for p in params for v in p["min_separation"].values()]
    far = next((p["max_distance"] for p in params if p.get("max_distance") is not None), None)
    beyond = f" and a squared Mahalanobis distance of at most {far:g}" if far is not None else ""
    return (
        f"Pooled samples were told apart by their barcodes {cite('barcode')}, with separations above "
        f"{_range(cutoffs, '.2f')}{beyond}."
    )


_SENTENCES: dict[str, Callable[[Mapping[str, Any], Cite], str]] = {
    "remove_dither": _remove_dither,
    "add_dither": _add_dither,
    "compensate": _compensate,
    "normalize_beads": _normalize,
    "steady": _steady,
    "debarcode": _debarcode,
}
