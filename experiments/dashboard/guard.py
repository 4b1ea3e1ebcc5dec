"""Who may ask the dashboard for what: pages of its own only, and nothing that could change anything.

A web page from elsewhere must not read a run through the reader's browser. Such a page can point a name of its own at
this machine (DNS rebinding), so a request must name the machine by its loopback name; and it can send requests across
sites, so a foreign `Origin` is refused. What is answered may fetch nothing from anywhere else.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from flask import Flask, Response, abort, request

CALLBACK: Final = "/_dash-update-component"
"""The one address that is posted to: it computes what is shown."""
_MAX_BODY_BYTES: Final = 1 << 20
_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")


def guard(server: Flask, port: int, scripts: Iterable[str]) -> None:
    """Let a server answer only what is asked of this machine's `port`; `scripts` are digests of scripts in its page."""
    hosts = frozenset({f"{name}:{port}" for name in _NAMES} | (set(_NAMES) if port == 80 else set()))
    origins = frozenset(f"http://{host}" for host in hosts)
    headers = _headers(scripts)
    server.config["MAX_CONTENT_LENGTH"] = _MAX_BODY_BYTES

    @server.before_request
    def refuse() -> None:
        if request.headers.get("Host", "").lower() not in hosts:
            abort(HTTPStatus.FORBIDDEN)
        if request.headers.get("Origin", next(iter(origins))) not in origins:
            abort(HTTPStatus.FORBIDDEN)
        if request.method not in {"GET", "HEAD"} and (request.method, request.path) != ("POST", CALLBACK):
            abort(HTTPStatus.METHOD_NOT_ALLOWED)

    @server.after_request
    def tell(response: Response) -> Response:
        response.headers.update(headers)
        return response


def _headers(scripts: Iterable[str]) -> dict[str, str]:
    """Return what a browser is told to refuse; plotly writes its styles into the page and draws images from data."""
    policy = (
        "default-src 'none'",
        f"script-src 'self' {' '.join(scripts)}",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
    }
