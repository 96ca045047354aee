"""Spillover: a planted matrix found again, planted spill taken out, and scipy's solution event by event."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import nnls

from cytof import clean, io
from cytof.errors import CytofWarning, InputError, PanelError, SheetError, UsageError
from cytof.events import Events
from cytof.region import Dimension, Rectangle

NAMES = [
    "La139", "Pr141", "Nd142", "Nd143", "Nd144", "Nd145", "Nd146", "Sm147", "Nd148", "Sm149", "Nd150", "Eu151",
    "Sm152", "Eu153", "Sm154", "Gd155", "Gd156", "Gd158", "Tb159", "Gd160", "Dy162", "Ho165", "Er166", "Yb176",
]  # fmt: skip


def planted(names: list[str] = NAMES, high: float = 0.04, seed: int = 0) -> pd.DataFrame:
    """A matrix with up to 4 % in the neighbours that are possible."""
    rng = np.random.default_rng(seed)
    matrix = pd.DataFrame(np.eye(len(names)), index=names, columns=names)
    for source, target in clean.neighbours_of(names)[["from", "to"]].to_numpy():
        matrix.loc[source, target] = rng.uniform(0, high) * (rng.random() < 0.7)
    return matrix


def made(X: np.ndarray, names: list[str] = NAMES) -> Events:
    return Events(np.asarray(X, np.float32), pd.DataFrame(index=names), {}, "s1")


def single_stains(matrix: pd.DataFrame, level: float, *, per: int = 600, seed: int = 1) -> Events:
    """Beads with one metal each, as bright as exp(level) counts and unequal; a tenth are two beads at once."""
    rng = np.random.default_rng(seed)
    n = len(matrix)
    bright = rng.lognormal(level, 0.4, (n * per, 1)) * np.repeat(rng.uniform(0.5, 2, n), per)[:, None]
    stain = np.repeat(np.eye(n), per, axis=0) * bright
    first, second = rng.integers(0, n * per, (2, n * per // 10))
    stain = np.r_[stain, stain[first] + stain[second]]
    return made(rng.poisson(stain @ matrix.to_numpy() + rng.uniform(0.1, 2, n)), list(matrix.index))


def cells(seed: int = 2, n: int = 3_000, names: list[str] = NAMES) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.lognormal(4, 1.2, (n, len(names))) * (rng.random((n, len(names))) < 0.4)


@pytest.mark.parametrize(("level", "trim"), [(7.0, 0.5), (6.0, 0.1)])
def test_planted_matrix_is_recovered_within_a_fifth_of_a_percent(level: float, trim: float) -> None:
    matrix = planted()
    found = clean.estimate_spill(single_stains(matrix, level), NAMES, trim=trim)
    found = found.reindex(columns=NAMES, fill_value=0)
    assert np.abs(found - matrix).to_numpy().max() <= 0.002
    assert (np.diag(found) == 1).all()
    impossible = np.ones(matrix.shape, bool)
    for source, target in clean.neighbours_of(NAMES)[["from", "to"]].to_numpy():
        impossible[NAMES.index(source), NAMES.index(target)] = False
    assert found.to_numpy()[impossible & ~np.eye(len(NAMES), dtype=bool)].sum() == 0


def test_all_interactions_find_a_pair_that_physics_does_not_know() -> None:
    matrix = planted()
    matrix.loc["Pr141", "Ho165"] = 0.03
    beads = single_stains(matrix, 7)
    assert clean.estimate_spill(beads, NAMES).loc["Pr141", "Ho165"] == 0
    every = clean.estimate_spill(beads, NAMES, interactions="all").reindex(columns=NAMES, fill_value=0)
    assert np.abs(every - matrix).to_numpy().max() <= 0.002


def test_estimated_matrix_brings_medians_back_within_two_percent() -> None:
    matrix = planted()
    found = clean.estimate_spill(single_stains(matrix, 7), NAMES)
    rng = np.random.default_rng(3)
    plain = cells(n=20_000) * 5
    spilled = made(rng.poisson(plain @ matrix.to_numpy()))
    corrected = clean.compensate(spilled, found)
    assert (corrected.X >= 0).all()
    off = []
    for j in range(len(NAMES)):
        stained = plain[:, j] > 0
        truth = np.median(plain[stained, j])
        off.append([np.median(e.X[stained, j]) / truth - 1 for e in (corrected, spilled)])
        left, came = corrected.X[~stained, j].mean(), (plain @ matrix.to_numpy())[~stained, j].mean()
        assert left <= 0.3 * came + 0.1
    after, before = np.abs(off).max(axis=0)
    assert after <= 0.02 < before


@pytest.mark.parametrize("high", [0.04, 0.3, 0.9])
def test_equal_to_scipy_event_by_event(high: float) -> None:
    """scipy: ``[nnls(S.T, y)[0] for y in Y]``."""
    names = NAMES[:14]
    rng = np.random.default_rng(0)
    S = np.eye(14) + rng.uniform(0, high, (14, 14)) * (rng.random((14, 14)) < 0.3) * (1 - np.eye(14))
    Y = (rng.poisson(cells(n=400, names=names) @ S) - rng.random((400, 14))).astype(np.float32)
    Y[:5] = 0
    Y[5] = -1
    found = clean.compensate(made(Y, names), pd.DataFrame(S, names, names)).X
    expected = np.array([nnls(S.T, y)[0] for y in Y.astype(float)])
    assert np.allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert (found[:6] == 0).all()
    assert (found >= 0).all()


def test_linear_is_the_solution_of_the_equations() -> None:
    matrix = planted()
    Y = np.random.default_rng(0).poisson(cells(n=500) @ matrix.to_numpy()).astype(np.float32)
    found = clean.compensate(made(Y), matrix, method="linear").X
    assert np.allclose(found, np.linalg.solve(matrix.to_numpy().T, Y.T.astype(float)).T, rtol=1e-6, atol=1e-4)
    assert (found < 0).any()


def test_threads_blocks_and_row_order_change_no_byte() -> None:
    matrix = planted()
    events = made(np.random.default_rng(0).poisson(cells(n=20_000) @ matrix.to_numpy()))
    one, two = (clean.compensate(events, matrix, n_jobs=n).X for n in (1, 2))
    order = np.random.default_rng(1).permutation(len(events))
    shuffled = clean.compensate(events.take(order), matrix).X
    assert one.tobytes() == two.tobytes()
    assert one[order].tobytes() == shuffled.tobytes()


def test_nan_events_and_other_channels_stay() -> None:
    matrix = planted(["Nd142", "Nd143", "Nd144"], high=0.3)
    X = np.random.default_rng(0).poisson(50, (200, 4)).astype(np.float32)
    X[3, 1], X[4, 0] = np.nan, np.inf
    events = made(X, ["Time", "Nd142", "Nd143", "Nd144"])
    found = clean.compensate(events, matrix)
    assert np.array_equal(found.X[3], X[3], equal_nan=True)
    assert np.isinf(found.X[4, 0])  # Time is not of the matrix: the event is corrected
    assert not np.array_equal(found.X[4, 1:], X[4, 1:])
    assert np.array_equal(found.X[:, 0], X[:, 0])
    assert str(found.warnings[-1]) == "s1:compensate: 1 events with NaN or infinity; left them as measured"
    assert events.X is not found.X
    assert np.isnan(events.X[3, 1])


def test_the_step_tells_matrix_and_counts() -> None:
    events = made([[100, 5, 7], [0, 0, 0]], ["Nd142Di", "Nd143", "Er170"])
    found = clean.compensate(events, pd.DataFrame([[1, 0.05]], index=["Nd143"], columns=["Nd143", "Er170"]))
    step = found.steps[-1]
    assert step["counts"] == {"events": 2, "changed": 1, "not_corrected": 0}
    assert step["params"]["spill"] == {"Nd143": {"Er170": 0.05}}
    assert json.loads(json.dumps(step)) == step
    assert found.X[0, 2] == pytest.approx(6.75)


def test_flags_from_before_are_told_and_twice_is_refused() -> None:
    matrix = planted(["Nd142", "Nd143"])
    events = made(np.ones((60, 2)), ["Nd142", "Nd143"])
    flagged = events.replace(regions={"bead": Rectangle((Dimension("Nd142", 5.0),), (1.0,), (9.0,))})
    found = clean.compensate(flagged, matrix)
    assert str(found.warnings[-1]) == (
        "s1:compensate: flags and regions from before: bead; kept them; compensate first"
    )
    with pytest.raises(UsageError, match="s1: compensated already; correct the counts as measured, once"):
        clean.compensate(found, matrix)


def test_channels_that_the_file_lacks_are_told() -> None:
    events = made(np.full((60, 2), 100.0), ["Nd142", "Nd143"])
    found = clean.compensate(events, planted(["Nd142", "Nd143", "Nd144"]))
    assert found.warnings[-1].found == "the file lacks Nd144 of the matrix"
    with pytest.raises(PanelError, match="s1 has none of the channels Gd155, Gd156"):
        clean.compensate(events, planted(["Gd155", "Gd156"]))


@pytest.mark.parametrize("n", [0, 1, 50])
@pytest.mark.parametrize("value", [0.0, 7.0, np.nan, 3e38])
def test_few_constant_and_broken_events_raise_nothing(n: int, value: float) -> None:
    found = clean.compensate(made(np.full((n, 4), value), NAMES[:4]), planted(NAMES[:4]))
    assert found.X.shape == (n, 4)
    assert len(found.warnings) == (n > 0 and np.isnan(value))
    assert np.isnan(found.X).all() == (n == 0 or np.isnan(value))
    with pytest.raises(InputError, match=r"fewer than 50 beads in every channel: La139 \(0\), Pr141 \(0\)"):
        clean.estimate_spill(made(np.full((n, 4), value), NAMES[:4]), NAMES[:4])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1, 0.1], [0.1, 0.9]], "the diagonal is not 1 for Nd143; divide each row by its diagonal"),
        ([[1, np.nan], [0, 1]], "it holds NaN, text or values below 0"),
        ([[1, "a"], [0, 1]], "it holds NaN, text or values below 0"),
        ([[1, 1], [1, 1]], "two channels emit alike"),
    ],
)
def test_a_wrong_matrix_is_one_clear_line(values: list, message: str) -> None:
    matrix = pd.DataFrame(values, index=["Nd142", "Nd143"], columns=["Nd142", "Nd143"])
    with pytest.raises(InputError, match=message) as told:
        clean.compensate(made(np.ones((3, 2)), ["Nd142", "Nd143"]), matrix)
    assert "\n" not in str(told.value)


def test_matrix_file_is_read_back_and_used(tmp_path: Path) -> None:
    path = tmp_path / "spill.csv"
    io.write_table(path, planted())
    assert np.array_equal(clean.read_spill(path), planted())
    events = made(cells(n=100))
    expected = clean.compensate(events, planted()).X
    assert np.array_equal(clean.compensate(events, path).X, expected)
    assert np.array_equal(clean.compensate(events, pd.read_csv(path, float_precision="round_trip")).X, expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,Nd142Di,Nd143Di\nNd142Di,1,a\nNd143Di,0,1\n", r"spill.csv:2: Nd143Di: 'a' is not a number"),
        ("x,Nd142Di,Nd143Di\nNd142Di,1,2\nNd143Di,0,1\n", r"spill.csv:2: Nd143Di: 2 is no fraction from 0 to 1"),
        ("x,Nd142Di,Nd143Di\nNd142Di,100,2\n", r"spill.csv:2: Nd142Di: 100 on the diagonal, expected 1"),
        ("x,Nd142Di,Nd143Di\nNd142Di,1,0\nNd144Di,0,1\n", r"spill.csv:3: `Nd144Di` has no column"),
        ("x,Nd142,Nd142\nNd142,1,0\n", r"spill.csv:1: column `Nd142` stands twice"),
        ("x,Nd142\n", "the spillover matrix has no rows"),
        ("", "the spillover matrix is empty"),
    ],
)
def test_faults_of_a_matrix_file_name_the_row(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "spill.csv"
    path.write_text(text)
    with pytest.raises(SheetError, match=message):
        clean.read_spill(path)
    with pytest.raises(SheetError, match="no such spillover matrix"):
        clean.read_spill(tmp_path / "none.csv")


def test_neighbours_of_a_panel() -> None:
    table = clean.neighbours_of(["Time", "139La_CD45", "Gd155Di", "Nd142", "Nd143", "Yb176"])
    found = {tuple(row) for row in table.to_numpy()}
    assert found == {
        ("139La_CD45", "Gd155Di", "oxide"),
        *(("Nd142", "Nd143", kind) for kind in ("M+1", "isotope")),
        *(("Nd143", "Nd142", kind) for kind in ("M-1", "isotope")),
    }


def test_few_beads_of_a_stain_are_told_and_none_at_all_is_an_error() -> None:
    matrix = planted(NAMES[:4])
    beads = single_stains(matrix, 7, per=100)
    some = beads.take(np.r_[0:300, 300:310])
    with pytest.warns(CytofWarning, match=r"fewer than 50 beads of Nd143 \(10\); their spill was not estimated"):
        found = clean.estimate_spill(some, NAMES[:4])
    assert (found.loc["Nd143"] > 0).sum() == 1
    assert found.attrs["n_beads"]["Nd143"] == 10
    with pytest.raises(InputError, match="fewer than 50 beads in every channel"):
        clean.estimate_spill(made(np.zeros((50, 4)), NAMES[:4]), NAMES[:4])
    with pytest.raises(UsageError, match="1 single-stained channel, expected at least two"):
        clean.estimate_spill(beads, ["La139"])
    with pytest.raises(PanelError, match="s1 has no channel for Gd157, found La139"):
        clean.estimate_spill(beads, ["La139", "Gd157"])
