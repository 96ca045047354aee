"""report.html says what matters first, asks no server for anything, and shows every name as text."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cytof import report
from cytof.report import _chapters, _html, _worries

EVIL = "<img src=x onerror=alert(1)>\"'</script>"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        self.text.append(data)


def parsed(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    return tags


@pytest.fixture(scope="module")
def html(written) -> str:
    return (written / "report.html").read_text("utf-8")


def test_the_summary_answers_first(html) -> None:
    text = " ".join("".join(parsed(html).text).split())
    start = text.index("CAR T cells were detected in every sample")
    assert start < text.index("What to worry about") < text.index("Quality of the samples", start)
    assert re.search(r"\d of CD45\+ cells at 5yr|% of CD45\+ cells at 5yr \(95 % interval", text)
    assert re.search(r"Of these, (CD4|CD8|DN) \d", text)


def test_worries_list_flags_warnings_and_failures(study, made) -> None:
    found = _worries.worries(study, made, [], {"9yr": "9yr.fcs: not an FCS file"})
    assert found[0].startswith("Sample 9yr failed")
    assert "Threshold of CAR+: shallow (5yr)." in found
    assert any("5yr (5yr.fcs:$TOT): blank; counted the events." in w for w in found)
    assert not any("HEADER" in w for w in found), "a note is no worry"


def test_what_is_ok_is_no_worry(study, made) -> None:
    fine = study.copy()
    home = dict(fine.uns["cytof"])
    home["thresholds"] = home["thresholds"].assign(flag="ok")
    home["counts"] = home["counts"].assign(flag="ok")
    home["warnings"] = home["warnings"].iloc[:0]
    fine.uns["cytof"] = home
    assert _worries.worries(fine, made, [], {}) == []


def test_an_undetected_car_is_said_so(made) -> None:
    table = made.tables["persistence"].assign(call=["detected", "detected", "not detected", "not detected"])
    silent = report.StudyTables(made.scope, {**made.tables, "persistence": table})
    assert _chapters.answer(silent).startswith("CAR T cells were detected in 2 of 4 samples")


def test_no_request_leaves_the_page(html) -> None:
    for tag, attributes in parsed(html).tags:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            value = attributes.get(name) or ""
            assert value == "" or value.startswith(("data:", "#")), (tag, value[:80])
        assert tag not in {"iframe", "object", "embed", "form", "base"}
        assert not [a for a in attributes if a.startswith("on")]
        assert "style" not in attributes, "the policy lets no inline style through"


def test_policy_allows_only_our_script_and_style_by_hash(html) -> None:
    tags = parsed(html).tags
    policy = next(a["content"] for t, a in tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for name in ("script", "style"):
        (body,) = re.findall(rf"<{name}>(.*?)</{name}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_names_from_files_are_text(fake, small, story, tmp_path, unprinted) -> None:
    """Every name of the study carries markup: sample, patient, visit, marker, panel, warning, study."""
    study = fake.fake_study(tag=EVIL, **small)
    evil = dict(
        story, inputs={f"2mo{EVIL}": {"file": f"2mo{EVIL}.fcs", "bytes": 1, "sha256": "x"}}, failed={EVIL: EVIL}
    )
    page = report.write(
        study, tmp_path, study_name=f"Study {EVIL}", waterfall=fake.fake_waterfall(study), provenance=evil
    )
    html = page.read_text("utf-8")
    tags = parsed(html)
    assert "<img src=x" not in html
    assert all(a["src"].startswith("data:image/png;base64,") for t, a in tags.tags if t == "img")
    assert sum(t == "script" for t, _ in tags.tags) == 1
    assert not [a for _, a in tags.tags if "onerror" in a]
    assert "".join(tags.text).count(EVIL) >= 20


def test_tables_sort_by_number_and_mark_flags() -> None:
    made = _html.as_table(
        pd.DataFrame({"gate": ["A", "B"], "n": [1_234_567, 2], "p": [1e-12, np.nan], "flag": ["", "x"]}), flag="flag"
    )
    first, second = made["rows"]
    assert [c["text"] for c in first["cells"]] == ["A", "1,234,567", "1.00e-12", ""]
    assert first["cells"][1]["value"] == "1234567.0"
    assert second["cells"][2]["text"] == ""
    assert (first["flagged"], second["flagged"]) == (False, True)


def test_the_page_holds_every_chapter_and_figure(html, written) -> None:
    tags = parsed(html).tags
    ids = [a["id"] for _, a in tags if "id" in a]
    assert [
        i
        for i in ids
        if i in {"summary", "quality", "gates", "clusters", "map", "tracking", "comparisons", "provenance"}
    ] == ["summary", "quality", "gates", "clusters", "map", "tracking", "comparisons", "provenance"]
    assert {f"figure4{x}" for x in "abcde"} | {f"supplement{n}" for n in "456"} <= set(ids)
    assert {"persistence", "waterfall", "thresholds", "cluster_flow"} <= set(ids)
    drawn = {p.name for p in (written / "figures").glob("*.png")} - {"figure4.png"}
    assert sum(t == "img" for t, _ in tags) == len(drawn) >= 15
    assert len(html.encode()) < 6_000_000
    links = {a["href"][1:] for t, a in tags if t == "a"}
    assert links <= set(ids)


def test_pictures_keep_their_white_and_their_colours(html, written) -> None:
    """The picture in the page is the file's, smaller: white is white, and no pixel's colour is far off."""
    name = re.compile(r'<figure id="figure4c">.*?base64,([^"]+)"', re.DOTALL)
    data = base64.b64decode(name.search(html).group(1))
    with Image.open(io.BytesIO(data)) as small, Image.open(written / "figures" / "figure4c.png") as full:
        here = np.asarray(small.convert("RGB"), int)
        there = np.asarray(full.convert("RGB").resize(small.size, Image.Resampling.HAMMING), int)
    assert (here[0, 0] == 255).all()
    assert np.mean(here == 255) > 0.5
    assert np.abs(here - there).max(axis=2).mean() < 3
    assert np.quantile(np.abs(here - there).max(axis=2), 0.99) < 40


def test_methods_say_what_ran_with_parameters_seeds_and_references(written) -> None:
    text = (written / "methods.md").read_text("utf-8")
    for said in (
        "FlowSOM",
        "10 x 10 nodes",
        "9 metaclusters",
        "seed 21",
        "30 nearest neighbours",
        "perplexity 30",
        "cofactor 5",
        "Wilcoxon",
        "python 3.12",
        "## References",
        "Van Gassen",
    ):
        assert said in text, said
    cited = [int(n) for group in re.findall(r"\[([\d, ]+)\]", text) for n in group.split(",")]
    listed = [int(n) for n in re.findall(r"^(\d+)\. ", text, re.MULTILINE)]
    assert listed == list(range(1, max(cited) + 1))
    assert list(dict.fromkeys(cited)) == listed, "numbered in order of appearance"


def test_methods_claim_nothing_that_did_not_run(study) -> None:
    bare = study.copy()
    home = dict(bare.uns["cytof"])
    home["steps"] = home["steps"][home["steps"]["step"] == "arcsinh"]
    bare.uns["cytof"] = home
    text = report.methods_text(bare, report.study_tables(bare), study_name="Bare")
    for word in ("FlowSOM", "PhenoGraph", "t-SNE", "beads"):
        assert word not in text, word


def test_one_fault_at_another_byte_of_each_file_is_told_once() -> None:
    import anndata
    import numpy as np
    import pandas as pd

    from cytof.report._tables import study_tables
    from cytof.report._worries import worries

    cells = anndata.AnnData(np.zeros((1, 1), np.float32), obs=pd.DataFrame({"sample_id": ["s1"]}, index=["1"]))
    rows = [
        ("s1", "a.fcs:DATA", "DATA end 120 is one byte too far", "left that byte out", "warning"),
        ("s2", "b.fcs:DATA", "DATA end 99 is one byte too far", "left that byte out", "warning"),
        ("s3", "c.fcs:$TOT", "blank", "counted 7 events", "warning"),
    ]
    table = pd.DataFrame(rows, columns=["sample_id", "where", "found", "done", "level"])
    cells.uns["cytof"] = {"warnings": table}
    assert worries(cells, study_tables(cells), [], {})[:2] == [
        "s1, s2: DATA end is one byte too far; left that byte out.",
        "s3 (c.fcs:$TOT): blank; counted 7 events.",
    ]
