"""Peers that pip installs, beside ours: what a quarter-hour costs there and here, and what happens in it.

Every peer gets a virtual environment of its own under build/peers, because their requirements differ from ours. The
work is not the same, and the table says what it is: nobody else does all of it.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandapower
from pandapower.networks import case33bw

import cosim

HERE = Path(__file__).parent
INTERVALS = 96
PROSUMERS = 34
WORK = {
    "assume": "naive bids, uniform price; no grid, no devices over time, no settlement of imbalance",
    "mosaik": "powers by a curve, pandapower.runpp; nobody decides, no market, no limits",
    "cosim rules": "rules, requests, fair envelopes, uniform price, redispatch, two AC checks, settlement, journal",
    "cosim plans": "the same with forecasts and a plan over 24 steps for each prosumer",
}
NEEDS = {"assume": ["assume-framework"], "mosaik": ["mosaik", "mosaik-pandapower-2"]}


def main() -> list[dict[str, Any]]:
    """Return a row for each tool: ms for an interval, and for a prosumer in it, and what was done."""
    with tempfile.TemporaryDirectory() as folder:
        network = Path(folder) / "case33.json"
        network.write_text(pandapower.to_json(case33bw()))
        measured = {
            "assume": _peer("assume", str(PROSUMERS), str(INTERVALS)),
            "mosaik": _peer("mosaik", str(network), str(PROSUMERS), str(INTERVALS)),
            "cosim rules": _ours("self_consumption", Path(folder) / "rules"),
            "cosim plans": _ours("predictive", Path(folder) / "plans"),
        }
    return [
        {"tool": name, "ms per interval": ms, "ms per prosumer": ms / PROSUMERS, "what happens": WORK[name]}
        for name, ms in measured.items()
    ]


def _peer(name: str, *words: str) -> float:
    """Run a peer's day in its own environment."""
    python = _environment(name)
    with tempfile.TemporaryDirectory() as folder:  # peers leave files where they run
        command = [python, HERE / f"{name}_day.py", *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder)
    return float(json.loads(done.stdout.strip().splitlines()[-1])["ms_per_interval"])


def _environment(name: str) -> Path:
    """Return the interpreter of a peer's environment, which is made at the first call."""
    folder = HERE.parent.parent / "build" / "peers" / name
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *NEEDS[name]], check=True)
    return python


def _ours(strategy: str, out: Path) -> float:
    """Run a day of the village with everything on."""
    run = cosim.run("village-v1", days=1, strategy=strategy, out=out)
    split = run.summary["time_split_s"]
    return 1e3 * (split["total"] - split["startup"]) / run.summary["intervals"]
