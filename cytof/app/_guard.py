"""A Bokeh server for one person on one machine: loopback only, a token a start, one Host, one Origin, no other server.

A plain ``panel serve`` or ``bokeh serve`` listens where it is told, answers to any Host (so that a page on another site
whose name is re-bound to 127.0.0.1 reaches it) and takes a WebSocket without an Origin. Here every request passes
:class:`Guard` first.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cytof.errors import ResourceError, UsageError

if TYPE_CHECKING:
    from bokeh.document import Document
    from bokeh.server.server import BaseServer

__all__ = ["Guard", "is_loopback", "serve"]


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own, reached by nobody else.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("lab-pc")
    (True, True, False, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """What a request must bring: the Host we serve, our own Origin or none, and the token of this start.

    Parameters
    ----------
    hosts
        Hosts with port that the server answers to.
    token
        Secret of this start, in the address that is printed; a cookie carries it afterwards.

    Examples
    --------
    >>> guard = Guard({"127.0.0.1:5006"}, "secret")
    >>> guard.refusal("evil.example:5006", None, "secret", upgrade=False)
    'this address is not served here'
    >>> guard.refusal("127.0.0.1:5006", "http://127.0.0.1:5006", "secret", upgrade=True)
    ''
    """

    def __init__(self, hosts: set[str], token: str) -> None:
        self.hosts, self.token = hosts, token

    @property
    def cookie(self) -> str:
        """Name of the cookie; of this port, so that two studies do not share one."""
        return f"cytof_{min(self.hosts).rsplit(':', 1)[-1]}"

    def refusal(self, host: str, origin: str | None, token: str | None, *, upgrade: bool) -> str:
        """Return why a request is refused, empty where it is not; ``upgrade``: it asks for a WebSocket."""
        if host.casefold() not in self.hosts:
            return "this address is not served here"
        if origin is not None or upgrade:
            if (origin or "").casefold() not in {f"http://{h}" for h in self.hosts}:
                return "requests from other pages are refused"
        if token is None or not hmac.compare_digest(token.encode(), self.token.encode()):
            return "open the address that `cytof review` printed: it holds the token of this start"
        return ""

    def headers(self) -> dict[str, str]:
        """Return the headers of every answer: this page may talk to this server alone, and no page may frame it."""
        sockets = " ".join(f"ws://{h}" for h in sorted(self.hosts))
        policy = (
            "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
            f"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' {sockets}; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        )
        return {
            "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
        }  # fmt: skip


def serve(
    pages: dict[str, Callable[[Document], None]], *, host: str = "127.0.0.1", port: int = 0, exposed: bool = False
) -> tuple[BaseServer, str]:
    """Start a server and return it with the address to open.

    Parameters
    ----------
    pages
        Path -> function that fills a document; the first is the one whose address is returned.
    host, port
        Where to listen; port 0 takes a free one.
    exposed
        Listen on an address that others reach; without it such a host is refused.

    Raises
    ------
    UsageError
        ``host`` is reached by others and ``exposed`` is not set.
    ResourceError
        The port is taken.

    Notes
    -----
    The server stands on the running event loop; ``server.io_loop.start()`` runs it.
    """
    from bokeh.application import Application
    from bokeh.application.handlers.function import FunctionHandler
    from bokeh.server.server import BaseServer
    from tornado.httpserver import HTTPServer
    from tornado.ioloop import IOLoop
    from tornado.netutil import bind_sockets

    if not is_loopback(host) and not exposed:
        raise UsageError(
            f"--host {host} lets every machine that reaches this one see the cells and change the gates",
            where="cytof review",
            hint="leave --host out and use an SSH tunnel, or add --exposed if you mean it",
        )
    try:
        sockets = bind_sockets(port, host)
    except OSError as error:
        raise ResourceError(f"port {port} of {host} cannot be had: {error.strerror}", where="cytof review",
                            hint="leave --port out") from error  # fmt: skip
    port = sockets[0].getsockname()[1]
    names = {host, "localhost", "127.0.0.1"} if is_loopback(host) else {host}
    guard = Guard({f"[{n}]:{port}" if ":" in n else f"{n}:{port}" for n in names}, secrets.token_urlsafe(24))
    app = _guarded(guard)(
        {path: Application(FunctionHandler(fill)) for path, fill in pages.items()},
        extra_websocket_origins=sorted(guard.hosts), absolute_url="", index="", use_xheaders=False,
        check_unused_sessions_milliseconds=10_000, unused_session_lifetime_milliseconds=60_000,
        generate_session_ids=True, include_cookies=["-"], include_headers=["-"], log_function=lambda handler: None,
    )  # fmt: skip
    http = HTTPServer(app, max_buffer_size=64 * 1024 * 1024)
    http.add_sockets(sockets)
    loop = IOLoop.current()
    app.initialize(loop)
    server = BaseServer(loop, app, http)
    server.start()
    shown = f"[{host}]" if ":" in host else host
    return server, f"http://{shown}:{port}{next(iter(pages))}?token={guard.token}"


def _guarded(guard: Guard) -> type:
    """Return Bokeh's Tornado application with the guard before every handler and its headers on every answer."""
    from bokeh.server.tornado import BokehTornado
    from tornado.web import OutputTransform, RequestHandler

    class Refused(RequestHandler):
        def initialize(self, reason: str) -> None:
            self.reason = reason

        def prepare(self) -> None:
            if self.request.path == "/favicon.ico":  # browsers ask for one by themselves; there is none
                self.set_status(204)
                self.finish()
                return
            self.set_status(403)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(self.reason + "\n")

    class Headers(OutputTransform):
        def transform_first_chunk(self, status: int, headers: Any, chunk: bytes, finishing: bool) -> Any:
            for name, value in guard.headers().items():
                headers[name] = value
            return status, headers, chunk

    class Tokened(Headers):
        def __init__(self, request: Any) -> None:
            self.given = request.query_arguments.get("token", [b""])[-1].decode("utf-8", "replace")

        def transform_first_chunk(self, status: int, headers: Any, chunk: bytes, finishing: bool) -> Any:
            found = super().transform_first_chunk(status, headers, chunk, finishing)
            if status == 200 and self.given and hmac.compare_digest(self.given.encode(), guard.token.encode()):
                headers.add("Set-Cookie", f"{guard.cookie}={guard.token}; Path=/; HttpOnly; SameSite=Strict")
            return found

    class Guarded(BokehTornado):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.transforms = [Tokened]

        def find_handler(self, request: Any, **kwargs: Any) -> Any:
            given = request.query_arguments.get("token", [None])[-1]
            cookie = request.cookies.get(guard.cookie)
            token = given.decode("utf-8", "replace") if given else cookie.value if cookie else None
            upgrade = request.headers.get("Upgrade", "").casefold() == "websocket"
            reason = guard.refusal(request.host, request.headers.get("Origin"), token, upgrade=upgrade)
            if reason:
                return self.get_handler_delegate(request, Refused, {"reason": reason})
            return super().find_handler(request, **kwargs)

    return Guarded
