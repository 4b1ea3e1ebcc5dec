"""What the README shows works as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def in_folder(folder: Path, *command: str) -> str:
    """Run a command in a folder and return what it printed."""
    done = subprocess.run(command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_python_example(tmp_path: Path) -> None:
    """The first block runs a scenario and prints its tables."""
    (tmp_path / "example.py").write_text(BLOCKS[0])
    assert "home-13" in in_folder(tmp_path, sys.executable, "example.py")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Give a folder with the README's strategy in it."""
    (tmp_path / "my_agents.py").write_text(BLOCKS[1])
    return tmp_path


def test_own_strategy_keeps_the_contract(own: Path) -> None:
    """The checker accepts the ten-line strategy."""
    assert "keeps the contract" in in_folder(own, sys.executable, "-m", "cosim", "check", "my_agents:Cautious")


def test_own_strategy_runs(own: Path) -> None:
    """The ten-line strategy runs for everybody without an edit anywhere, and the file that was loaded is named."""
    words = [
        "run",
        "smoke-v1",
        "--strategy",
        "my_agents:Cautious",
        "--allow-plugin",
        "my_agents",
        "--out",
        "out",
    ]
    in_folder(
        own, sys.executable, "-m", "cosim", *words, "--no-baseline", "--no-report", "--set", "time.interval_s=3600"
    )
    assert (own / "out" / "summary.json").is_file()
