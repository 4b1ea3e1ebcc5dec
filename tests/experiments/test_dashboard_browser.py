"""The dashboard in a real browser while a run goes on: everything is drawn, nothing is asked of anybody else."""

import json
import os
import select
import shutil
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
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

# A browser listens at descriptor 3 and answers at 4.
BEGIN = """
import fcntl, os, sys
heard, told = (fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3])
os.dup2(heard, 3), os.dup2(told, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


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
    ends = (ours[0], theirs[1])
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN, *map(str, ends), *words],
        pass_fds=ends,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Tab(ours[1], theirs[0])
    finally:
        process.terminate()
        process.wait(20)
        for end in (*ours, *theirs):
            os.close(end)


class Onlooker:
    """Opens the dashboard in a browser in the middle of a run, and looks again when the run has gone on."""

    def __init__(self, folder: Path, tab: Tab, address: str) -> None:
        self.folder, self.tab, self.address = folder, tab, address
        self.status: list[str] = []
        self.drawn: set[str] = set()

    def __call__(self, _world: Any, now: int) -> None:
        if now == 40:
            self.tab.look(self.address)
            for name in DRAWN:
                self.tab.wait(f"document.querySelector('#picture-{name} .main-svg')")
                self.drawn.add(name)
        if now in {40, 60}:
            self.tab.wait(f"{STATUS}.startsWith('{now} of 96 intervals')")
            self.status.append(self.tab.says(STATUS))


DRAWN = set(TITLES) - {"negotiation"}
STATUS = "(document.getElementById('status')?.innerText ?? '')"
TITLE = "<img src=http://evil.example/x onerror=document.title='evil'>"


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome here")
def test_in_a_browser_while_a_run_goes_on(tmp_path: Path) -> None:
    """Every picture is drawn and the page follows the run, without an error and without a word to anybody else."""
    folder = tmp_path / "run"
    request = Request("smoke-v1", folder, days=1, strategies={"": "passive"}, overrides={"title": TITLE})
    with serving(folder) as server, browsing(tmp_path / "browser") as tab:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        onlooker = Onlooker(folder, tab, f"http://127.0.0.1:{server.port}/")
        assert execute(request, onlooker)
        tab.wait(f"{STATUS}.startsWith('Finished: 96 of 96 intervals')")
        title, words = tab.says("document.title"), tab.says("document.querySelector('h1').innerText")
        wide = {width: _too_wide(tab, width) for width in (390, 1280)}
        server.shutdown()
    assert onlooker.drawn == DRAWN
    assert [status.split(" of ")[0] for status in onlooker.status] == ["40", "60"]
    assert (title, words) == ("cosim dashboard", TITLE)
    assert wide == {390: False, 1280: False}
    assert tab.troubles == []
    assert len(tab.requests) > 5
    assert [address for address in tab.requests if not address.startswith(onlooker.address)] == []


def _too_wide(tab: Tab, width: int) -> bool:
    """Say whether the page has to be pushed sideways on a screen of a width."""
    tab.ask("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=True)
    time.sleep(0.5)
    return tab.says(f"document.documentElement.scrollWidth > {width}")
