"""Everything that docs/sweeps.md shows works as it stands, in the order in which it stands there."""

import re
import shlex
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cosim.experiments.cli import app
from cosim.experiments.sweeps.case import play

TEXT = (Path(__file__).parent.parent / "docs" / "sweeps.md").read_text()
EXAMPLES = re.findall(r"^    (cosim [^\n]+)$|```python\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL)


def test_examples_run_one_after_another(tmp_path, monkeypatch, capsys):
    """Commands end with exit code 0 and say something; blocks of Python run and print."""
    monkeypatch.chdir(tmp_path)
    # Processes are not what is shown here, and take longer than the cases.
    monkeypatch.setattr(
        "cosim.experiments.sweeps.engines.on_loky", lambda cases, _workers: (play(case) for case in cases)
    )
    assert len(EXAMPLES) == 7
    for command, block in EXAMPLES:
        if command:
            told = CliRunner().invoke(app, shlex.split(command)[1:])
            assert told.exit_code == 0, told.output
            assert told.stdout
        else:
            exec(compile(textwrap.dedent(block), "docs/sweeps.md", "exec"), {"__name__": "a_block"})  # noqa: S102, it is our own text
            assert len(capsys.readouterr().out.splitlines()) > 10
    assert len(list((tmp_path / "my-sweep" / "cases").iterdir())) == 12


@pytest.mark.parametrize("name", re.findall(r"^\| `([\w.]+)` \|", TEXT, re.MULTILINE))
def test_files_that_are_named_are_those_that_are_written(name):
    """The table of what is where names files that the code writes."""
    sources = (Path(__file__).parent.parent / "experiments" / "sweeps").glob("*.py")
    assert any(f'"{name}"' in path.read_text() for path in sources)
