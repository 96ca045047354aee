"""Who may reach the page: wrong Host, foreign Origin, no token, paths that climb, names that would run as HTML."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cytof import io, pipeline, study
from cytof.app._guard import Guard, is_loopback
from cytof.app._guard import serve as start
from cytof.errors import ResourceError, UsageError


def ask(origin: str, path: str, **headers: str) -> tuple[int, str]:
    host, port = origin.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode("utf-8", "replace")
    connection.close()
    return answer.status, body


SOCKET = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13",
          "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip


def test_only_the_page_that_was_opened_reaches_the_server(review_study: Path, serve: Callable[..., Any]) -> None:
    server = serve(review_study)
    origin, token = server.origin, server.token
    page = f"/review?token={token}"
    assert ask(origin, page)[0] == 200
    assert ask(origin, "/review") == (
        403, "open the address that `cytof review` printed: it holds the token of this start\n",
    )  # fmt: skip
    assert ask(origin, f"/review?token={token[:-1]}x")[0] == 403
    assert ask(origin, page, Host="rebound.example:80") == (403, "this address is not served here\n")
    assert ask(origin, page, Host=f"rebound.example:{origin.rsplit(':', 1)[1]}")[0] == 403
    assert ask(origin, page, Origin="http://evil.example") == (403, "requests from other pages are refused\n")
    assert ask(origin, page, Origin="null")[0] == 403
    socket = f"/review/ws?token={token}"
    assert ask(origin, socket, **SOCKET)[0] == 403, "a WebSocket without an Origin"
    assert ask(origin, socket, Origin="http://evil.example", **SOCKET)[0] == 403
    assert ask(origin, "/review/ws", Origin=origin, **SOCKET)[0] == 403, "no token"
    for climb in ("/static/../../../../etc/passwd", "/static/..%2f..%2f..%2fetc/passwd", "/static/js/%2e%2e/%2e%2e/x"):
        status, body = ask(origin, f"{climb}?token={token}")
        assert status in {403, 404}
        assert "root:" not in body


def test_every_answer_bears_the_policy(review_study: Path, serve: Callable[..., Any]) -> None:
    server = serve(review_study)
    host, port = server.origin.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    connection.request("GET", f"/review?token={server.token}")
    answer = connection.getresponse()
    answer.read()
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http:" not in policy.replace(f"ws://{host}:{port}", "")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"cytof_{port}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    connection.close()


def test_a_host_that_others_reach_is_refused_without_the_flag() -> None:
    with pytest.raises(UsageError, match=r"--host 0.0.0.0 lets every machine that reaches this one see the cells"):
        start({"/review": lambda doc: None}, host="0.0.0.0")
    assert [is_loopback(h) for h in ("127.0.0.1", "127.9.9.9", "::1", "localhost", "192.168.0.2", "lab")] == [
        True, True, True, True, False, False,
    ]  # fmt: skip


def test_a_taken_port_is_one_clear_line(review_study: Path, serve: Callable[..., Any]) -> None:
    port = serve(review_study).origin.rsplit(":", 1)[1]
    with pytest.raises(ResourceError, match=rf"port {port} of 127.0.0.1 cannot be had: .*; leave --port out"):
        start({"/review": lambda doc: None}, port=int(port))


def test_guard_compares_hosts_origins_and_tokens() -> None:
    guard = Guard({"localhost:1", "127.0.0.1:1"}, "t\u00f6ken")
    assert guard.refusal("LOCALHOST:1", "http://LOCALHOST:1", "t\u00f6ken", upgrade=True) == ""
    assert guard.refusal("localhost:1", None, None, upgrade=False).startswith("open the address")
    assert guard.refusal("localhost:1", "https://localhost:1", "t\u00f6ken", upgrade=False)
    assert guard.refusal("", None, "t\u00f6ken", upgrade=False) == "this address is not served here"


EVIL = "<img src=x onerror=window.hit=1>"


def test_names_from_files_are_text(study_copy: Path, serve: Callable[..., Any], screen: Callable[[str], Any]) -> None:
    """A gate, a marker and a batch whose names are HTML; the samples' names hold what a file name may."""
    sheet = pd.read_csv(study_copy / "samples.csv")
    sheet["sample_id"] = [f"s{i} &lt;b&gt; 'q' onerror=window.hit=1" for i in range(len(sheet))]
    sheet["batch_id"] = EVIL
    sheet.to_csv(study_copy / "samples.csv", index=False)
    panels = Path(io.__file__).parents[2] / "panels"
    table = (panels / "car_t_41.csv").read_text("utf-8").replace(",CD14,", f",{EVIL},")
    (study_copy / "own.csv").write_text(table)
    text = (panels / "car_t_41.gates.yaml").read_text("utf-8").replace("panel: car_t_41\n", "")
    text = text.replace("pop: CD14-", f'pop: "{EVIL}-"').replace("dims: CD14", f'dims: "{EVIL}"')
    (study_copy / "own.gates.yaml").write_text(text.replace("parent: CD14-", f'parent: "{EVIL}-"'))
    file = study_copy / "study.yaml"
    lines = [line for line in file.read_text("utf-8").splitlines() if not line.startswith(("panel", "gates"))]
    file.write_text("\n".join([*lines, "panel: own.csv", "gates: own.gates.yaml", "gate: {draw: 5000}"]) + "\n")
    loaded = study.load(file)
    pipeline.gate(loaded)
    pipeline.gate_pages(loaded)
    page = screen(serve(study_copy).address)
    for _ in range(12):
        page.press("j")
    page.until(lambda: any(EVIL.replace(" ", "\u00a0")[:12] in t or EVIL[:12] in t for t in page.texts()))
    assert page.js("return window.hit === undefined && document.querySelectorAll('img[src=x]').length === 0")
    code = """
    let found = 0; const walk = (n) => { if (n.shadowRoot) walk(n.shadowRoot);
      for (const c of n.children || []) { if (c.tagName === "IMG" || c.tagName === "B") found += 1; walk(c); } };
    walk(document.body); return found;"""
    assert page.js(code) == 0
    assert page.errors() == []
