"""Which sample to look at first."""

from __future__ import annotations

import pandas as pd

from cytof import gate


def test_most_unusual_sample_comes_first() -> None:
    names = list("abcdef")
    thresholds = pd.DataFrame({"sample_id": names, "gate": "g", "flag": "ok", "value": [2.0, 2.1, 2.0, 1.9, 2.0, 3.5]})
    counts = pd.DataFrame({"sample_id": names, "gate": "g", "n": [50, 52, 3, 51, 49, 50], "n_parent": 100})
    table = gate.unusual(thresholds, counts, ["g"], [*names, "g"])
    why = dict(zip(table["sample_id"], table["why"], strict=True))
    assert set(table["sample_id"][:2]) == {"f", "c"}
    assert why["f"] == "threshold far from the other samples'"
    assert why["c"] == "share far from the other samples'"
    assert table.iloc[-1][["sample_id", "why"]].tolist() == ["g", "not gated"]
