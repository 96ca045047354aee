"""report.html in a real browser (Chromium): no error, no request, nothing injected runs; tables sort and download."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from cytof import report

EVIL = "<img src=x onerror=document.title='hit'>\"'</script><script>document.title='hit'</script>"


@pytest.fixture(scope="module")
def evil_page(fake, small, story, tmp_path_factory) -> Path:
    """The report of a study with markup in every name."""
    study = fake.fake_study(tag=EVIL, **small)
    names = dict(story, inputs={f"2mo{EVIL}": {"file": f"{EVIL}.fcs", "bytes": 1, "sha256": "x"}}, failed={EVIL: EVIL})
    out = tmp_path_factory.mktemp("evil")
    with pytest.MonkeyPatch.context() as patch:
        from PIL import Image

        from cytof.report import _figures

        def save(figure, stem, **_):
            path = stem.with_name(f"{stem.name}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (2161, 40), "white").save(path)
            return [path]

        patch.setattr(_figures, "save", save)
        return report.write(study, out, study_name=EVIL, waterfall=fake.fake_waterfall(study), provenance=names)


def opened(browser, page: Path, width: int) -> list[str]:
    """Open the page at this width; return what it asked any server for."""
    browser.get_log("performance")
    browser.get_log("browser")
    # the viewport, not the window: a headless window has a least width of 500
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.get(page.as_uri())
    asked = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
    return [a for a in asked if not a.startswith("data:") and a != page.as_uri()]


@pytest.mark.parametrize("width", [1280, 390])
def test_page_fits_the_screen_without_errors_or_requests(browser, written, width) -> None:
    assert opened(browser, written / "report.html", width) == []
    assert browser.get_log("browser") == []
    assert browser.execute_script("return window.innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width, "no sideways scrolling"
    loaded = browser.execute_script("return Array.from(document.images, (i) => i.naturalWidth > 0)")
    assert len(loaded) >= 15
    assert all(loaded)


def test_nothing_in_a_name_runs(browser, evil_page) -> None:
    assert opened(browser, evil_page, 1280) == []
    assert browser.execute_script("return document.title") == f"{EVIL}: cytof report"
    assert browser.execute_script("return document.querySelectorAll('[onerror]').length") == 0
    assert browser.execute_script("return document.querySelectorAll('script').length") == 1
    assert browser.execute_script("return document.querySelector('h1').textContent") == EVIL
    assert browser.execute_script("return document.body.innerText.split('onerror=document').length") > 20
    assert browser.get_log("browser") == []


def test_the_policy_stops_a_script_that_got_in_all_the_same(browser, written) -> None:
    opened(browser, written / "report.html", 1280)
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = \"document.title='hit'\"; document.body.append(s);"
        "const i = document.createElement('div'); i.innerHTML = \"<img src=x onerror=\\\"document.title='hit'\\\">\";"
        "document.body.append(i);"
    )
    assert browser.execute_script("return document.title") == "Fake: cytof report"
    refused = " ".join(entry["message"] for entry in browser.get_log("browser"))
    assert "Content Security Policy" in refused


def test_a_table_sorts_by_number_and_back(browser, written) -> None:
    opened(browser, written / "report.html", 1280)
    sort = """
        const table = document.querySelector("table[data-file='abundance.csv']");
        const column = Array.from(table.tHead.rows[0].cells).findIndex((h) => h.dataset.name === 'n');
        table.tHead.rows[0].cells[column].querySelector('button').click();
        return Array.from(table.tBodies[0].rows, (r) => Number(r.cells[column].dataset.value));
    """
    up, down = browser.execute_script(sort), browser.execute_script(sort)
    assert up == sorted(up) == [100, 140, 180, 220]
    assert down == up[::-1]


def test_the_download_is_the_table(browser, written, made) -> None:
    """The button hands over a CSV with the columns' own names and full numbers."""
    opened(browser, written / "report.html", 1280)
    text = browser.execute_async_script("""
        const done = arguments[0];
        const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => { blob.text().then(done); return make.call(URL, blob); };
        HTMLAnchorElement.prototype.click = function () {};
        const table = document.querySelector("table[data-file='abundance.csv']");
        table.closest('.table').nextElementSibling.click();
    """)
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    table = made.tables["persistence"]
    assert [r["sample_id"] for r in rows] == table["sample_id"].tolist()
    assert [float(r["fraction"]) for r in rows] == table["fraction"].tolist()


def test_print_view_has_no_buttons_and_no_cut_tables(browser, written) -> None:
    opened(browser, written / "report.html", 1280)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        style = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
        assert browser.execute_script(style, ".csv", "display") == "none"
        assert browser.execute_script(style, "nav", "display") == "none"
        assert browser.execute_script(style, ".table", "maxHeight") == "none"
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
