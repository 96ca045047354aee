"""The MIFlowCyt checklist is filled from files, panel and gates, and says plainly what it cannot know."""

from __future__ import annotations

import numpy as np
import pytest

from cytof import io, report
from cytof import study as studies
from cytof.pipeline._story import cells_story
from cytof.report._miflowcyt import GAP, checklist

HELIOS = {"$CYT": "DVSSCIENCES-CYTOF-6.7.1014", "$CYTSN": "Helios138", "$OP": "Jane Doe", "$INST": "St. Elsewhere",
          "$DATE": "02-MAR-2015", "FLUIDIGMNORMALIZED": "True"}  # fmt: skip


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading."""
    part = text.split(heading)[1].split("\n#")[0]
    return [[c.strip() for c in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")][2:]


def test_the_machine_is_read_from_the_file_and_the_operator_is_not() -> None:
    found = io.instrument(HELIOS)
    assert found == {
        "manufacturer": "DVS Sciences", "model": "DVSSCIENCES-CYTOF-6.7.1014", "serial": "Helios138",
        "software": "CyTOF software 6.7.1014", "normalized": "true",
    }  # fmt: skip
    assert not {"Doe", "Elsewhere", "2015"} & set(" ".join(found.values()).split())
    assert io.instrument({"$CYT": "LSRII", "CREATOR": "BD FACSDiva Software Version 8.0.1"}) == {
        "model": "LSRII", "software": "BD FACSDiva Software Version 8.0.1",
    }  # fmt: skip
    assert io.instrument({}) == {}


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict:
    """The story of a study of two files as the pipeline tells it; the panel names two clones."""
    home = tmp_path_factory.mktemp("story")
    (home / "mine.csv").write_text(
        "channel,antigen,marker_class,role,clone,supplier,catalogue,dilution\nNd143,Ki67,state,none,B56,BD,556003,1:100\n"
        "Cd116,CD3,type,lineage,UCHT1,,,\nIr191,DNA1,none,dna,,,,\n"
    )
    names = ["Time", "Nd143Di", "Cd116Di", "Ir191Di"]
    for visit, n in (("2mo", 300), ("1yr", 20)):
        io.write_fcs(home / f"{visit}.fcs", np.ones((n, 4), np.float32), pnn=names, pns=names, keywords=HELIOS)
    (home / "samples.csv").write_text("file_name,sample_id\n2mo.fcs,2mo\n1yr.fcs,1yr\n")
    file = home / "study.yaml"
    file.write_text("samples: samples.csv\npanel: mine.csv\ngates: none\n")
    return cells_story(studies.load(file))


def test_the_pipeline_tells_events_channels_machine_and_clones(told) -> None:
    first = told["inputs"]["2mo"]
    assert first["instrument"]["model"] == HELIOS["$CYT"]
    assert (first["events"], first["channels"]) == (300, 4)
    assert told["reagents"]["Ki67"] == {"clone": "B56", "supplier": "BD", "catalogue": "556003", "dilution": "1:100"}
    assert told["reagents"]["CD3"] == {"clone": "UCHT1"}
    assert "Jane" not in str(told)


def test_the_checklist_is_filled_with_what_is_known(study, made, told) -> None:
    text = checklist(study, made, told)
    machine = {row[1]: row[2] for row in rows(text, "### 3 Instrument")}
    assert machine["model"] == HELIOS["$CYT"]
    assert machine["serial number"] == "Helios138"
    assert machine["acquisition software"] == "CyTOF software 6.7.1014"
    assert machine["normalised as it was acquired"] == "yes"
    assert machine["settings"].startswith(GAP)
    unlogged = study.copy()
    unlogged.uns["cytof"] = study.uns["cytof"] | {"steps": study.uns["cytof"]["steps"].iloc[:0]}
    for cells in (study, unlogged):
        assert ["4.3", "transformation", "arcsinh(x / 5)"] in rows(checklist(cells, made, told), "### 4 Data analysis")
    reagents = {row[0]: row[1:] for row in rows(text, "#### Reagents")}
    ki67 = study.var.loc["Ki67"]
    assert reagents["Ki67"] == [f"{ki67['mass']}{ki67['metal']}", "B56", "BD, 556003", "1:100"]
    assert reagents["CD3"][1:] == ["UCHT1", GAP, GAP]
    assert reagents["PD-1"][1:] == [GAP] * 3
    assert set(study.var_names) <= set(reagents), "a functional marker has no role, and is a reagent all the same"
    files = {row[0]: row[1:] for row in rows(text, "#### Files")}
    assert files["2mo"][2:] == ["300", f"{(study.obs['sample_id'] == '2mo').sum():,}"]


def test_without_a_story_every_gap_is_marked(study, made) -> None:
    text = checklist(study, made)
    assert {row[1]: row[2] for row in rows(text, "### 3 Instrument")}["manufacturer"] == GAP
    assert all(row[2] == GAP for row in rows(text, "#### Reagents"))
    assert text.count(GAP) > 20


def test_a_name_cannot_break_a_row(study, made, told) -> None:
    inputs = {"a|b": told["inputs"]["2mo"] | {"instrument": {"model": "X | <b>Y</b>", "serial": "`1`"}}}
    text = report.methods_text(study, made, study_name="S", provenance=told | {"inputs": inputs})
    row = next(line for line in text.splitlines() if "| model |" in line)
    assert row == "| 3.2 | model | X \\| &lt;b&gt;Y&lt;/b&gt; |"
    assert "\\`1\\`" in text
    assert "a\\|b" in text
