"""Best response from a sequence of assessments (IMWG), and residual disease by flow with the sample's own limit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from cytof._check import has_columns, one_of
from cytof.clinical._read import RESPONSES
from cytof.errors import InputError

__all__ = ["best_responses", "mrd_calls"]

_RANK = {r: i for i, r in enumerate(RESPONSES)}


def best_responses(
    assessments: pd.DataFrame, patients: pd.DataFrame | None = None, *, confirm: bool = True
) -> pd.DataFrame:
    """Return the short form of a long table of assessments, one row a patient.

    Parameters
    ----------
    assessments
        ``patient_id date response``, responses sCR CR VGPR PR MR SD PD NE, any order.
    patients
        With ``new_therapy_date``: what comes after it does not count.
    confirm
        A response counts when the next assessment is at least as good (two consecutive assessments); unconfirmed, the
        worse of the two counts. PD counts at once.

    Returns
    -------
    ``patient_id best_response best_response_date first_response_date pd_date last_assessment_date
    assessment_before_pd_date``; ``NE`` where nothing adequate was seen. The last column is the adequate assessment
    before PD (the infusion's day does not count): :func:`endpoints` censors a PD that follows missed visits there.

    Raises
    ------
    InputError
        An unknown response.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": "P1", "response": ["PR", "CR", "CR", "PD"],
    ...     "date": pd.to_datetime(["2017-01-30", "2017-03-01", "2017-04-01", "2018-01-01"])})
    >>> best_responses(table)[["best_response", "best_response_date"]].astype(str).values.tolist()
    [['CR', '2017-03-01']]

    Source: Kumar et al. 2016, Lancet Oncol 17:e328, table 4.
    """
    has_columns(assessments.columns, ["patient_id", "date", "response"], where="clinical.best_responses")
    odd = assessments[~assessments["response"].isin(RESPONSES)]
    if len(odd):
        first = odd.iloc[0]
        raise InputError(f"response is {first['response']!r}, expected one of {', '.join(RESPONSES)}",
                         where=f"assessments:{first['patient_id']}")  # fmt: skip
    stop = patients.set_index("patient_id")["new_therapy_date"] if (
        patients is not None and "new_therapy_date" in patients) else pd.Series(dtype="datetime64[ns]")  # fmt: skip
    rows = []
    for name, of in assessments.sort_values("date", kind="stable").groupby("patient_id", sort=True):
        end = stop.get(name, pd.NaT)
        rows.append((name, *_with_before(of if end is pd.NaT else of[of["date"] <= end], confirm)))
    columns = [
        "patient_id",
        "best_response",
        "best_response_date",
        "first_response_date",
        "pd_date",
        "last_assessment_date",
        "assessment_before_pd_date",
    ]
    return pd.DataFrame(rows, columns=columns)


def _with_before(of: pd.DataFrame, confirm: bool) -> tuple:
    made = _one(of, confirm)
    if made[3] is pd.NaT:
        return (*made, pd.NaT)
    before = of.loc[(of["response"] != "NE") & (of["date"] < made[3]), "date"]
    return (*made, before.iloc[-1] if len(before) else pd.NaT)


def _one(of: pd.DataFrame, confirm: bool) -> tuple:
    adequate = of[of["response"] != "NE"]
    if not len(adequate):
        return "NE", pd.NaT, pd.NaT, pd.NaT, pd.NaT
    bad = adequate[adequate["response"] == "PD"]
    pd_date = bad["date"].iloc[0] if len(bad) else pd.NaT
    before = adequate if pd_date is pd.NaT else adequate[adequate["date"] < pd_date]
    ranks = before["response"].map(_RANK).to_numpy()
    if confirm and len(ranks):
        ranks = np.maximum(ranks, np.r_[ranks[1:], max(ranks[-1], _RANK["SD"])])
    last = adequate["date"].iloc[-1] if pd_date is pd.NaT else pd_date
    if not len(ranks):
        return "PD", pd_date, pd.NaT, pd_date, last
    best = int(ranks.min())
    responded = np.flatnonzero(ranks <= _RANK["PR"])
    first = before["date"].iloc[responded[0]] if len(responded) else pd.NaT
    if best >= _RANK["SD"] and pd_date is not pd.NaT and not confirm:
        return "SD", before["date"].iloc[0], first, pd_date, last
    return RESPONSES[best], before["date"].iloc[int(np.argmax(ranks == best))], first, pd_date, last


def mrd_calls(
    samples: pd.DataFrame, *, sensitivity: float = 1e-4, rule: str = "n_min", n_min: int = 30, level: float = 0.95
) -> pd.DataFrame:
    """Call residual disease by flow, each sample at its own limit.

    Parameters
    ----------
    samples
        ``n_cells`` (nucleated cells acquired) and ``n_aberrant`` (events of the aberrant cluster), with any id columns;
        optional ``haemodiluted`` (True: not assessable when negative).
    sensitivity
        The limit a negative sample must reach (1e-4, 1e-5, 1e-6): worse is NOT ASSESSABLE.
    rule
        ``n_min``: positive from ``n_min`` events (the paper: 30); ``euroflow``: limit of detection 20 events, of
        quantification 50.
    n_min, level
        See above; coverage of the one-sided bound of negatives.

    Returns
    -------
    The table with ``fraction limit lod loq upper call``: ``limit`` is the smallest fraction this sample can be called
    positive at, ``lod`` 20 and ``loq`` 50 events of its cells, ``upper`` is the one-sided exact bound of the true
    fraction (for 0 events 3/n), ``call`` one of POSITIVE, POSITIVE BELOW LOQ, NEGATIVE, NOT ASSESSABLE.

    Raises
    ------
    InputError
        Counts that cannot be.

    Examples
    --------
    >>> found = mrd_calls(pd.DataFrame({"n_cells": [1_500_000, 100_000], "n_aberrant": [0, 0]}))
    >>> found["call"].tolist(), float(found["upper"].round(8).iloc[0])
    (['NEGATIVE', 'NOT ASSESSABLE'], 2e-06)

    Source: Flores-Montero et al. 2017, Leukemia 31:2094 (20 and 50 events); Hanley and Lippman-Hand 1983 (rule of
    three).
    """
    has_columns(samples.columns, ["n_cells", "n_aberrant"], where="clinical.mrd_calls")
    one_of(rule, ("n_min", "euroflow"), "rule", where="clinical.mrd_calls")
    cells, events = samples["n_cells"].to_numpy(float), samples["n_aberrant"].to_numpy(float)
    wrong = ~((cells > 0) & (events >= 0) & (events <= cells))
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"found {events[i]:g} aberrant events in {cells[i]:g} cells", where=f"mrd:row {samples.index[i]}"
        )
    least, loq_events = (n_min, max(n_min, 50)) if rule == "n_min" else (20, 50)
    limit = least / cells
    upper = stats.beta.ppf(level, events + 1, np.maximum(cells - events, 1e-9))
    positive = events >= least
    diluted = (
        samples["haemodiluted"].astype(bool).to_numpy() if "haemodiluted" in samples else np.zeros(len(samples), bool)
    )
    blind = ~positive & ((limit > sensitivity * (1 + 1e-9)) | diluted)
    calls = ["NOT ASSESSABLE", "POSITIVE", "POSITIVE BELOW LOQ"]
    call = np.select([blind, positive & (events >= loq_events), positive], calls, "NEGATIVE")
    return samples.assign(fraction=events / cells, limit=limit, lod=20 / cells, loq=50 / cells, upper=upper, call=call)
