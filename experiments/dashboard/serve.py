"""Serving the page to this machine and to nobody else."""

import socket
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from cosim.experiments.dashboard.guard import guard
from cosim.experiments.dashboard.page import page
from cosim.models.errors import BadInputError

LOOPBACK: Final = "127.0.0.1"


class _Quiet(WSGIRequestHandler):
    """Answers without a line for every request; a connection that says nothing is dropped."""

    timeout = 20

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def application(folder: Path, port: int) -> Flask:
    """Return the guarded application that shows a run directory to who asks at a port of this machine."""
    server = Flask(__name__, static_folder=None)
    app = page(folder, server)
    guard(server, port, app.csp_hashes())
    return server


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[BaseWSGIServer]:
    """Listen at a port of the loopback interface, a free one for 0, until the block ends.

    BadInputError where the port is taken or not to be had.
    """
    try:
        listening = socket.create_server((LOOPBACK, port))
    except OSError as error:
        raise BadInputError.one("command line", "--port", port, f"it is not to be had: {error.strerror}") from error
    with listening:
        port = listening.getsockname()[1]
        app = application(folder, port)
        server = make_server(LOOPBACK, port, app, threaded=True, request_handler=_Quiet, fd=listening.fileno())
        try:
            yield server
        finally:
            server.server_close()


def serve(folder: Path, port: int, say: Callable[[str], Any], *, browse: bool) -> None:
    """Show a run directory until Ctrl-C."""
    with serving(folder, port) as server, suppress(KeyboardInterrupt):
        address = f"http://{LOOPBACK}:{server.port}/"
        say(f"{folder} at {address} (Ctrl-C ends this)")
        if browse:
            webbrowser.open(address)
        server.serve_forever()
