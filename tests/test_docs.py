"""What the documentation shows works as it stands: commands are understood, blocks run, links lead somewhere.

README, extending and sweeps have tests of their own, which also look at what comes out.
"""

import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import typer

from cosim.experiments.cli import app

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path for path in [*DOCS.rglob("*.md"), ROOT / "README.md"] if "_build" not in path.parts)
PAGES_RUN_HERE = [page for page in DOCS.glob("*.md") if page.name not in {"extending.md", "sweeps.md"}]
FENCE = re.compile(r"```(python|console)\n(.*?)```", re.DOTALL)
# Files that a page takes for granted.
GIVEN = {"interop.md": {"case33bw.m": "small.m", "master.dss": "small.dss"}}


def name_of(path: Path) -> str:
    """Return a page's path below the root."""
    return path.relative_to(ROOT).as_posix()


def commands(text: str) -> list[str]:
    """List the command lines of a page, fenced or indented, without what stands behind a #."""
    return [line.split(" #")[0].strip() for line in re.findall(r"^(?: {4})?(cosim [a-z].*)$", text, re.MULTILINE)]


def in_new_process(*words: str) -> None:
    """Run something in the present folder as a reader would, who has imported nothing yet."""
    done = subprocess.run((sys.executable, *words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_are_understood(page):
    """Every command line that is shown is one that the command line's own parser takes."""
    parsers = typer.main.get_command(app).commands
    for line in commands(page.read_text()):
        called, *words = shlex.split(line)[1:]
        assert called in parsers, line
        parsers[called].make_context(called, words)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    """Links to files of the repository name files that are there."""
    for target in re.findall(
        r"\]\(([^)#]+?)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    ):
        assert "://" in target or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [page for page in PAGES_RUN_HERE if FENCE.search(page.read_text())], ids=name_of)
def test_blocks_run_in_order(page, tmp_path, monkeypatch):
    """Blocks of Python and of commands run one after another in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for there, here in GIVEN.get(page.name, {}).items():
        shutil.copy(ROOT / "tests" / "cases" / "foreign" / here, tmp_path / there)
    for number, (kind, block) in enumerate(FENCE.findall(page.read_text())):
        if kind == "console":
            for line in commands(block):
                in_new_process("-m", "cosim", *shlex.split(line)[1:])
        else:
            (tmp_path / f"block{number}.py").write_text(textwrap.dedent(block))
            in_new_process(f"block{number}.py")


@pytest.mark.parametrize("notebook", sorted((DOCS / "notebooks").glob("*.py")), ids=name_of)
def test_notebooks_run(notebook, tmp_path, monkeypatch):
    """A notebook is a script in jupytext's percent format: its cells run from top to bottom."""
    monkeypatch.chdir(tmp_path)
    assert "# %% [markdown]" in notebook.read_text()
    in_new_process(str(notebook))


def test_every_page_is_in_the_index():
    """The built documentation has every page in a table of contents."""
    listed = set(re.findall(r"^([a-z]+)$", (DOCS / "index.md").read_text(), re.MULTILINE))
    assert {page.stem for page in DOCS.glob("*.md")} - {"index"} == listed
