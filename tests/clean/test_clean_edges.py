"""Odd files through every step of cleaning: a flag or one clear line each, and nothing raises."""

from __future__ import annotations

import numpy as np
import pytest

from cytof import clean
from cytof.events import Events


def chain(events: Events) -> Events:
    events = clean.tell_dither(events)
    for change in (clean.remove_dither, clean.add_dither, clean.find_beads, clean.normalize_beads, clean.steady):
        events = change(events)
    events = clean.intact(events)
    assert clean.waterfall(events)["n_left"].iloc[0] == len(events)
    assert len(clean.bead_traces(events).columns) == 8
    assert len(clean.time_windows(events).columns) == 9
    return events


CASES = {
    "no beads": "0 single beads, too few for a slope",
    "all beads": "100% of the events are high in all of Ce140",
    "50 events": "50 events, too few for windows of Time",
    "one event": "no Time channel, or every Time the same",
    "no event": "no events",
    "constant bead channel": "0 single beads, too few for a slope",
    "NaN": "events without a Time",
    "Time backwards": "Time goes backwards at",
    "Time constant": "no Time channel, or every Time the same",
    "Time NaN": "no Time channel, or every Time the same",
    "no Time": "no Time channel, or every Time the same",
    "joined": "Time starts again after event 6,000",
    "zeros": "0 single beads, too few for a slope",
    "nothing but NaN": "Ir191 holds no numbers",
    "infinity": "no Event_length",
    "negative": "0 single beads, too few for a slope",
    "Time alone": "channels missing (dvs: Ce140",
    "no channels": "no DNA channel",
}


def odd(events: Events, bead: np.ndarray, case: str) -> Events:
    X = events.X.copy()
    n = len(X)
    parts = {"no beads": ~bead, "all beads": bead, "50 events": np.arange(50), "one event": np.arange(1),
             "no event": np.arange(0)}  # fmt: skip
    if case in parts:
        return events.take(parts[case])
    if case == "joined":
        return Events(np.r_[X, X], events.channels, {}, events.sample_id)
    if case in ("no Time", "Time alone", "no channels"):
        columns = {"no Time": slice(1, None), "Time alone": slice(0, 1), "no channels": slice(0, 0)}[case]
        return events.replace(X=X[:, columns], channels=events.channels.iloc[columns])
    if case == "constant bead channel":
        X[:, 4] = 3
    elif case == "NaN":
        X[::7, 5] = X[3, 0] = X[5] = np.nan
    elif case == "Time backwards":
        X[:, 0] = X[::-1, 0]
    elif case in ("Time constant", "Time NaN"):
        X[:, 0] = 5 if case == "Time constant" else np.nan
    elif case in ("zeros", "nothing but NaN"):
        X[:] = 0 if case == "zeros" else np.nan
    elif case == "infinity":
        X[:, 1:] = np.inf
    elif case == "negative":
        X[:, 1:] *= -1
    assert len(X) == n
    return events.replace(X=X)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("error")
def test_odd_files_leave_a_clear_line(planted, case: str) -> None:
    events, _, bead = planted(n=6_000, share=0.1)
    found = chain(odd(events, bead, case))
    said = [str(w) for w in found.warnings]
    assert any(CASES[case] in line for line in said), said
    assert len(set(said)) == len(said), "nothing is said twice"
    assert all("\n" not in line and line.startswith("planted0:") for line in said)


def test_nan_and_events_without_time_do_not_touch_the_others(planted) -> None:
    events, _, bead = planted(n=6_000, share=0.1)
    plain = clean.normalize_beads(events)
    X = events.X.copy()
    X[7, 1] = np.nan
    odd_one = clean.normalize_beads(events.replace(X=X))
    assert np.isnan(odd_one.X[7, 1])
    keep = np.arange(len(X)) != 7
    assert np.array_equal(odd_one.X[keep], plain.X[keep])
