"""Applying: masks nest, counts add up, what is kept keeps its counts, and empty gates say so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cytof import gate
from cytof.errors import GateError
from cytof.events import Events
from cytof.panel import Gate, Template
from cytof.region import Boolean, Rectangle

T = Template(
    "t",
    (
        Gate("cells", "cells", "root", (), "boolean", {"none_of": ["bead", "debris"]}),
        Gate("live", "cells/live", "cells", (), "boolean", {"none_of": ["dead"]}),
        Gate("CD3+", "cells/live/CD3+", "cells/live", ("CD3",), "range", {"low": 2.0}, alias="T cells"),
        Gate("CD3-", "cells/live/CD3-", "cells/live", (), "boolean", {"none_of": ["cells/live/CD3+"]}),
        Gate("CD4+", "cells/live/CD3+/CD4+", "cells/live/CD3+", ("CD4",), "range", {"low": 2.0}),
        Gate("either", "either", "root", (), "boolean", {"any_of": ["bead", "cells/live/CD3+"]}),
    ),
)


def made(n: int = 2_000, flags: tuple[str, ...] = ("bead", "debris", "dead")) -> Events:
    rng = np.random.default_rng(0)
    channels = pd.DataFrame({"antigen": ["CD3", "CD4"], "cofactor": 5.0}, index=["Er170", "Nd145"])
    table = pd.DataFrame({f: rng.random(n) < 0.1 for f in flags}, index=pd.RangeIndex(n))
    bead = {"bead": Rectangle(channels_dims(), (9.0,), (np.inf,))}
    return Events(rng.exponential(30, (n, 2)).astype(np.float32), channels, {}, "s1", flags=table, regions=bead)


def channels_dims() -> tuple:
    from cytof.region import Dimension

    return (Dimension("Er170", 5.0),)


def applied(events: Events) -> gate.Gating:
    return gate.apply(events, T, gate.place(T, [events]))


def test_children_lie_in_their_parents_and_equal_a_naive_walk() -> None:
    events = made()
    g = applied(events)
    f, y = events.flags, np.arcsinh(events.X / 5.0)
    live = ~f.bead & ~f.debris & ~f.dead
    naive = {
        "cells": ~f.bead & ~f.debris,
        "cells/live": live,
        "cells/live/CD3+": live & (y[:, 0] >= 2),
        "cells/live/CD3-": live & ~(y[:, 0] >= 2),
        "cells/live/CD3+/CD4+": live & (y[:, 0] >= 2) & (y[:, 1] >= 2),
        "either": f.bead | (live & (y[:, 0] >= 2)),
    }
    assert list(g.masks) == list(naive)
    for path, expected in naive.items():
        assert np.array_equal(g.masks[path], expected), path
        parent = g.parents[path]
        assert parent == "root" or not (g.masks[path] & ~g.masks[parent]).any()


def test_counts_are_those_of_the_masks() -> None:
    g = applied(made())
    counts = g.counts.set_index("gate")
    assert counts.n["root"] == 2_000
    for path in g.masks:
        assert counts.n[path] == g.masks[path].sum()
        assert counts.n_parent[path] == counts.n[counts.parent[path]]
        assert counts.fraction_of_parent[path] == pytest.approx(counts.n[path] / counts.n_parent[path])
    assert counts.n["cells/live/CD3+"] + counts.n["cells/live/CD3-"] == counts.n["cells/live"]


def test_keep_keeps_the_counts_and_the_rows() -> None:
    g = applied(made())
    kept = g.keep("T cells")
    assert len(kept) == kept.counts.set_index("gate").n["cells/live/CD3+"]
    assert kept.kept == "cells/live/CD3+"
    assert np.array_equal(kept.events.rows, np.flatnonzero(g.mask("CD3+")))
    assert kept.mask("CD3+").all()
    pd.testing.assert_frame_equal(kept.counts, g.counts)
    assert len(g.keep("root")) == 2_000
    deeper = kept.keep("CD4+")
    assert len(deeper) == g.mask("CD4+").sum()


def test_names_resolve_and_unknown_ones_are_told() -> None:
    g = applied(made())
    assert g.path("live") == "cells/live"
    with pytest.raises(GateError, match=r"s1: no gate `CD8\+`; did you mean"):
        g.keep("CD8+")


def test_deepest_gate_of_each_event() -> None:
    g = applied(made())
    deepest = g.deepest()
    assert (deepest[g.mask("CD4+")] == "cells/live/CD3+/CD4+").all()
    assert (deepest[~g.mask("cells") & ~g.mask("either")] == "root").all()


def test_flags_that_a_file_has_not_got_take_nothing_out() -> None:
    g = applied(made(flags=("bead",)))
    assert g.mask("live").sum() == g.mask("cells").sum() == (~g.events.flags.bead).sum()
    bare = applied(made(flags=()))
    assert bare.mask("cells").all()
    assert bare.mask("live").all()


def test_regions_of_cleaning_come_along_for_export() -> None:
    g = applied(made())
    assert g.regions["bead"] == g.events.regions["bead"]
    assert g.parents["bead"] == "root"
    assert isinstance(g.regions["cells"], Boolean)
    assert "bead" not in g.masks


def test_an_empty_gate_is_flagged_and_told_once() -> None:
    events = made()
    dim = events.replace(X=np.zeros_like(events.X))
    g = applied(dim)
    flags = g.counts.set_index("gate").flag
    assert flags["cells/live/CD3+"] == flags["cells/live/CD3+/CD4+"] == "empty"
    told = [c for c in g.events.warnings if "none of the" in c.found]
    assert [c.where for c in told] == ["s1:cells/live/CD3+"]
    assert len(g.keep("CD4+")) == 0
    assert np.isnan(g.counts.set_index("gate").fraction_of_parent["cells/live/CD3+/CD4+"])


def test_no_events_at_all() -> None:
    events = made()
    g = gate.apply(events.take(np.arange(0)), T, gate.place(T, [events]))
    assert (g.counts.n == 0).all()
    assert (g.counts.flag == "empty").all()


def test_another_samples_thresholds_are_not_taken() -> None:
    events = made()
    table = gate.place(T, [events])
    with pytest.raises(GateError, match="s2: no thresholds for this sample, found them for s1; give it to gate.place"):
        gate.apply(events.replace(sample_id="s2"), T, table)
    with pytest.raises(
        GateError, match="s1: no threshold for gate `cells/live/CD3-`; place the gates with this template"
    ):
        gate.apply(events, T, table[table.gate != "cells/live/CD3-"])
    with pytest.raises(GateError, match="thresholds: column `region` missing"):
        gate.apply(events, T, table.drop(columns="region"))


def test_nan_lies_outside() -> None:
    events = made()
    X = events.X.copy()
    X[0] = np.nan
    g = applied(events.replace(X=X, flags=events.flags * False))
    assert not g.mask("CD3+")[0]
