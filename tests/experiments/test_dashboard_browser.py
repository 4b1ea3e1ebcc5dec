"""The dashboard in a real browser while a run goes on: everything is drawn, nothing is asked of anybody else."""

import json
import os
import select
import shutil
import subprocess
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cosim.experiments.dashboard.panels import TITLES
from cosim.experiments.dashboard.serve import serving
from cosim.experiments.run import Request, execute
from cosim.experiments.stills import BROWSERS

BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
QUIET = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)


class Tab:
    """A tab of a browser, told what to do through a pipe by the DevTools protocol.

    `requests` has the addresses it asked for, `troubles` what it wrote to its console or refused.
    """

    def __init__(self, told: int, heard: int) -> None:
        self._told, self._heard = told, heard
        self._rest, self._count, self._session = b"", 0, None
        self.requests: list[str] = []
        self.troubles: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for part in ("Network", "Runtime", "Log", "Page"):
            self.ask(f"{part}.enable")

    def ask(self, method: str, **words: Any) -> dict[str, Any]:
        """Send one command and return its answer."""
        self._count += 1
        said = {"id": self._count, "method": method, "params": words}
        said |= {"sessionId": self._session} if self._session else {}
        os.write(self._told, json.dumps(said).encode() + b"\0")
        while (answer := self._next()).get("id") != self._count:
            self._keep(answer)
        assert "result" in answer, answer
        return answer["result"]

    def says(self, script: str) -> Any:
        """Return what a script in the page comes to."""
        return self.ask("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def wait(self, script: str, seconds: float = 30.0) -> None:
        """Wait until a script in the page comes to something."""
        until = time.monotonic() + seconds
        while not self.says(script):
            assert time.monotonic() < until, (script, self.troubles, self.says("document.body.innerText"))
            time.sleep(0.2)

    def look(self, address: str, width: int = 1280, height: int = 900) -> None:
        """Go to an address, on a screen of a size."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Page.navigate", url=address)

    def picture(self, path: Path) -> None:
        """Keep the whole page as a PNG."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(b64decode(shot["data"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._heard], [], [], 30.0)[0], "the browser says nothing"
            self._rest += os.read(self._heard, 1 << 20)
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def _keep(self, event: dict[str, Any]) -> None:
        found = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(found["request"]["url"])
            case "Runtime.exceptionThrown":
                self.troubles.append(json.dumps(found["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if found["type"] in {"error", "warning", "assert"}:
                self.troubles.append(json.dumps(found["args"]))
            case "Log.entryAdded" if found["entry"]["level"] in {"error", "warning"}:
                self.troubles.append(f"{found['entry']['text']} {found['entry'].get('url', '')}")


@contextmanager
def browsing(folder: Path) -> Iterator[Tab]:
    """Start a browser of its own, without a window, for as long as the block takes."""
    ours, theirs = os.pipe(), os.pipe()
    # Chromium refuses to run as root with its sandbox; it only opens pages of our own.
    words = [BROWSER, *QUIET, f"--user-data-dir={folder}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    # It listens at 3 and answers at 4.
    shell = ["sh", "-c", f'exec "$@" 3<&{ours[0]} 4>&{theirs[1]}', "sh", *words]
    process = subprocess.Popen(
        shell, pass_fds=(ours[0], theirs[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield Tab(ours[1], theirs[0])
    finally:
        process.terminate()
        process.wait(20)
        for end in (*ours, *theirs):
            os.close(end)
