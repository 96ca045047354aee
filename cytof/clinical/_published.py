"""Printed p values held against the printed counts, means and standard deviations they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cytof.clinical._categorical import categorical_test
from cytof.errors import InputError

__all__ = ["check_published", "envelope"]


def check_published(rows: Iterable[Mapping[str, Any]] | pd.DataFrame) -> pd.DataFrame:
    """Recompute printed p values and say by which method they are reached, if by any.

    Parameters
    ----------
    rows
        Mappings with ``name``, ``p`` as printed (text keeps its digits: ``"0.0144"``, ``"<0.0001"``) and either
        ``counts`` (levels x groups) or ``mean sd n`` (a list each, a value a group, as printed text or numbers).
        Optional ``test``: what the paper's note says (``fisher``, ``chi2``, ``t``); ``percent``: printed percentages of
        ``counts`` by column; ``whole``: the values are whole numbers, so that means are multiples of 1/n.

    Returns
    -------
    ``name printed recomputed method verdict said``. ``MATCH``: by the stated test, or where none is stated by the rule
    of :func:`categorical_test` or the pooled t test; ``OTHER METHOD``: another test gives it (``method`` names it);
    ``IMPOSSIBLE``: no test of these printed values reaches it, or the printed values contradict each other.

    Raises
    ------
    InputError
        A row has neither counts nor means.

    Examples
    --------
    >>> check_published([{"name": "IgG", "counts": [[9, 24], [3, 38]], "p": "0.0206", "test": "fisher"}])[
    ...     ["method", "verdict"]].values.tolist()
    [['Pearson chi-squared test', 'OTHER METHOD']]

    Source: GRIM: Brown and Heathers 2017, Soc Psychol Personal Sci 8:363.
    """
    records = rows.to_dict("records") if isinstance(rows, pd.DataFrame) else list(rows)
    return pd.DataFrame([_row(dict(r)) for r in records],
                        columns=["name", "printed", "recomputed", "method", "verdict", "said"])  # fmt: skip


def _row(row: dict[str, Any]) -> dict[str, Any]:
    name, printed = str(row.get("name", "")), str(row.get("p", "")).strip()
    if row.get("counts") is not None:
        wrong, candidates = _percent_faults(row), _of_counts(np.asarray(row["counts"], float))
    elif row.get("mean") is not None:
        wrong, candidates = _grim(row), _of_means(row)
    else:
        raise InputError("the row has neither `counts` nor `mean`, `sd` and `n`", where=f"check_published:{name}")
    if wrong:
        return {
            "name": name,
            "printed": printed,
            "recomputed": np.nan,
            "method": "",
            "verdict": "IMPOSSIBLE",
            "said": wrong,
        }
    stated = row.get("test")
    first = [c for c in candidates if stated is None or c[0] == stated][:1]
    hits = [c for c in candidates if _agrees(printed, c[2], c[3])]
    if first and first[0] in hits:
        verdict, hit = "MATCH", first[0]
    elif hits:
        verdict, hit = "OTHER METHOD", hits[0]
    else:
        verdict, hit = "IMPOSSIBLE", (first or candidates)[0]
    reached = f"{hit[2]:.4f}" if hit[3] - hit[2] < 5e-5 else f"{hit[2]:.4f} to {hit[3]:.4f}"
    said = {
        "MATCH": f"{hit[1]}: {reached}",
        "OTHER METHOD": f"{hit[1]}: {reached}; the stated test gives {(first or candidates)[0][2]:.4f}",
        "IMPOSSIBLE": "none of "
        + ", ".join(f"{c[1]} ({c[2]:.4f}{'' if c[3] - c[2] < 5e-5 else f' to {c[3]:.4f}'})" for c in candidates),
    }[verdict]
    # fmt: skip
    return {"name": name, "printed": printed, "recomputed": (hit[2] + hit[3]) / 2, "method": hit[1], "verdict": verdict,
            "said": said}  # fmt: skip


def _agrees(printed: str, low: float, high: float) -> bool:
    text = printed.lstrip("=p ").replace(",", ".")
    if text.startswith("<"):
        return low < float(text[1:])
    if text.startswith(">"):
        return high > float(text[1:])
    value = float(text)
    half = 0.5 * 10.0 ** -(len(text.split(".")[1]) if "." in text else 0) * (1 + 1e-9)
    return low - half <= value <= high + half


def _of_counts(counts: np.ndarray) -> list[tuple[str, str, float, float]]:
    """Return (key, name, p, p) of each test of the counts; the rule's own first."""
    auto = categorical_test(counts)
    exact, chi2 = categorical_test(counts, "fisher"), categorical_test(counts, "chi2")
    found = [("fisher", exact.test, exact.p), ("chi2", chi2.test, chi2.p)]
    if auto.test == chi2.test:
        found.reverse()
    if counts.shape == (2, 2) and auto.df + 1:
        corrected = stats.chi2_contingency(counts, correction=True)
        found.append(("yates", "chi-squared test with Yates' correction", float(corrected.pvalue)))
        found.append(
            ("g", "likelihood-ratio test", float(stats.chi2_contingency(counts, False, "log-likelihood").pvalue))
        )
    return [(k, n, p, p) for k, n, p in found]


def _of_means(row: Mapping[str, Any]) -> list[tuple[str, str, float, float]]:
    """Return the p of the t tests over all means and deviations that round to the printed ones."""
    means, sds = ([envelope(v) for v in row[k]] for k in ("mean", "sd"))
    n = [int(v) for v in row["n"]]
    if len(n) != 2:
        raise InputError("expected two groups", where=f"check_published:{row.get('name')}")
    found = []
    for key, name, pooled in (("t", "t test, pooled variance", True), ("welch", "Welch t test", False)):
        ps = [stats.ttest_ind_from_stats(a, s, n[0], b, t, n[1], equal_var=pooled).pvalue
              for a, b, s, t in product(means[0], means[1], sds[0], sds[1])]  # fmt: skip
        over = (means[0][0] - means[1][-1]) * (means[0][-1] - means[1][0]) <= 0
        found.append((key, name, float(min(ps)), 1.0 if over else float(max(ps))))
    return found


def envelope(value: Any) -> tuple[float, float]:
    """Return the least and the largest number that is printed as ``value``; not below 0 where it is not negative.

    Examples
    --------
    >>> [round(v, 3) for v in envelope("21.0")], envelope(3)
    ([20.95, 21.05], (2.5, 3.5))
    """
    text = str(value)
    half = 0.5 * 10.0 ** -(len(text.split(".")[1]) if "." in text else 0)
    return max(float(text) - half, 0.0) if float(text) >= 0 else float(text) - half, float(text) + half


def _percent_faults(row: Mapping[str, Any]) -> str:
    if row.get("percent") is None:
        return ""
    counts = np.asarray(row["counts"], float)
    shares = counts / counts.sum(0) * 100
    for i, of in enumerate(row["percent"]):
        for j, text in enumerate(of):
            low, high = envelope(text)
            if not low - 1e-9 <= shares[i, j] <= high + 1e-9:
                return f"{counts[i, j]:g} of {counts[:, j].sum():g} is {shares[i, j]:.2f} %, printed {text} %"
    return ""


def _grim(row: Mapping[str, Any]) -> str:
    if not row.get("whole"):
        return ""
    for text, n in zip(row["mean"], row["n"], strict=True):
        low, high = envelope(text)
        if np.floor(high * int(n) + 1e-9) < np.ceil(low * int(n) - 1e-9):
            return f"no {n} whole numbers have the mean {text}"
    return ""
