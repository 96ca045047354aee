"""What each limit takes out alone, and where a manual chain and the automatic clean-up part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import clean, gate, io, pipeline, study
from cytof.errors import UsageError
from cytof.report._cleaning import agreement, agreement_words, cleaning_words, limits_table

Real = Callable[[str], Path]


def test_limits_count_what_a_naive_loop_counts(patient: Path) -> None:
    events = io.read_fcs(patient.parent / "fcs" / "synthetic_5yr.fcs", panel="car_t_41", sample_id="5yr")
    events = clean.intact(clean.find_beads(events))
    table = clean.limits("5yr", {s["step"]: s for s in events.steps}, len(events))
    assert list(table) == list(clean.LIMITS)
    assert set(table["step"]) == {"debris", "doublet", "dead"}
    for row in table.itertuples():
        values = events.column(row.channel).astype(float)
        values = np.arcsinh(values / 5) if events.channels.loc[row.channel, "metal"] else values
        inside = (values >= row.low) & (values < row.high)
        outside = inside.sum() if row.step == "dead" else (~inside).sum()
        assert abs(row.n_outside - outside) <= 1, row
        assert row.fraction_outside == pytest.approx(row.n_outside / len(events))


def test_against_finds_the_gate_that_cuts_deeper(patient: Path) -> None:
    """A manual chain of two gates, the second of which leaves out a planted thousand events."""
    events = io.read_fcs(patient.parent / "fcs" / "synthetic_2mo.fcs", panel="car_t_41")
    events = clean.intact(clean.find_beads(events))
    ours = ~events.flags.to_numpy(bool).any(axis=1)
    lost = np.flatnonzero(ours)[:1000]
    deep = ours.copy()
    deep[lost] = False
    table = clean.against(events, pd.DataFrame({"all": np.ones(len(ours), bool), "singlets": ours, "live": deep}))
    assert list(table) == list(clean.AGREEMENT)
    assert table["lost_here"].tolist() == [0, 0, 1000]
    assert table["only_automatic"].tolist()[-1] == 1000
    assert table["only_manual"].tolist()[-1] == 0
    (said,) = agreement_words(table)
    assert "Of the 1,000 that the automatic clean-up keeps alone most are lost at `live` (1,000)." in said
    with pytest.raises(UsageError, match="3 rows for"):
        clean.against(events, pd.DataFrame({"live": [True] * 3}))


def test_report_says_why_the_manual_chain_of_the_raw_file_keeps_less(real_data: Real, tmp_path: Path) -> None:
    """The untailored Cytobank gates keep 3,452 events at live DNA, the automatic clean-up 4,877; the page says where.

    Of the 1,425 events that are ours alone, half fall at the two DNA gates, which cut this file's cloud of cells.
    """
    raw = real_data("cytofqc_raw/raw_cytof.fcs")
    liu = real_data("liu2020_maxpar/CytExp_265881_Gates_v1.xml")
    expected = pd.read_csv(real_data("cytofqc_raw/maxpar_cleanup_gate_counts.csv"))
    (tmp_path / "samples.csv").write_text("file_name,sample_id\nraw_cytof.fcs,raw\n")
    (tmp_path / "raw_cytof.fcs").write_bytes(raw.read_bytes())
    (tmp_path / "study.yaml").write_text("panel: maxpar_30\ngates: none\n")
    loaded = study.load(tmp_path / "study.yaml")
    gated = gate.apply_imported(io.read_fcs(raw), io.read_gates(liu))
    keep = gated.path("Cleanup_DNA2")
    assert pipeline.gate_imported(loaded, liu, keep=keep) == {}
    table = pd.read_csv(loaded.out / "tables" / "clean_agreement.csv")
    last = table.iloc[-1]
    assert abs(last.n_manual - 3452) <= 3
    assert expected.astype(str).to_numpy().ravel().tolist().count("3452") >= 1
    assert last.only_manual <= 0.01 * last.n_manual
    assert last.n_automatic - last.n_manual == last.only_automatic - last.only_manual
    assert table["lost_here"].sum() == last.only_automatic
    dna = table["gate"].str.contains("DNA")
    assert table.loc[dna, "lost_here"].sum() >= 0.45 * last.only_automatic
    cells = io.read_h5ad(loaded.out / "gated" / "raw.h5ad")
    from cytof.report._legends import steps_of

    (said,) = agreement_words(agreement(steps_of(cells)))
    assert said.startswith("raw: the imported gates keep 3,45")
    assert "most are lost at `Cleanup_DNA1` (" in said


def test_methods_name_every_step_that_ran(planted) -> None:
    """Dither off, spill out, beads normalised, steadiness, clean-up: each in its own words, with its numbers."""
    drifted = planted()[0]
    events = clean.compensate(drifted, pd.DataFrame(np.eye(2), index=["Y89", "Nd142"], columns=["Y89", "Nd142"]))
    events = clean.intact(clean.steady(clean.normalize_beads(clean.remove_dither(events))))
    steps = {s["step"]: {"s1": dict(s)} for s in events.steps}
    cited: list[str] = []
    text = cleaning_words(steps, lambda name: cited.append(name) or f"[{len(cited)}]")
    window = steps["normalize_beads"]["s1"]["params"]["window"]
    assert "Spillover between 2 channels was taken out by non-negative least squares [1]." in text
    assert f"running medians of {window} beads, one slope a bead mass, to each file's own median beads." in text
    assert "event rate changed by more than a factor of" in text
    assert text.endswith("were left out (limits at 3 robust standard deviations of each file's own cells).")
    assert cited == ["spill", "beads"]
    assert cleaning_words({}, lambda name: "") == ""
    left = clean.waterfall(events)
    table = limits_table({k: {left["sample_id"][0]: v["s1"]} for k, v in steps.items()}, left)
    assert table is not None
    assert set(table["step"]) <= {"debris", "doublet", "dead"}
