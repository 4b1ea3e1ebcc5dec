"""The house: floors that import only downwards, one door for each big dependency, one import package."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ("models", "cosim", "agents", "experiments")
ROOF = {"cosim/__init__.py", "cosim/__main__.py"}
SOURCES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
DOORS = {
    "pandapower": (
        "models/grid/feeder.py",
        "models/grid/powerflow.py",
        "models/grid/pandapower_json.py",
        "models/grid/foreign_case.py",
    ),
    "osqp": ("models/optimisation/",),
    "cvxpy": ("models/optimisation/",),
    "clarabel": ("models/optimisation/",),
    "piqp": ("models/optimisation/",),
    "highspy": ("models/optimisation/",),
    "numba": ("models/*/kernel_*.py",),
    "simpy": ("cosim/clock.py", "cosim/post.py", "cosim/protocol.py"),
    "mesa": ("cosim/world.py", "agents/base.py"),
    "plotly": ("experiments/",),
    "matplotlib": ("experiments/",),
    "dash": ("experiments/dashboard/",),
    "flask": ("experiments/dashboard/",),
    "werkzeug": ("experiments/dashboard/",),
}
HEAVY = ("pandapower", "cvxpy", "osqp", "mesa", "simpy", "plotly", "numba", "pandas")


def name_of(path: Path) -> str:
    """Return a file's path below the root."""
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> list[str]:
    """List the modules that a file imports, anywhere in it; relative ones begin with a dot."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [item.name for item in node.names]
        elif isinstance(node, ast.ImportFrom):
            dots, module = "." * node.level, node.module or ""
            # `from cosim import models` imports cosim.models
            found += [
                f"{dots}{module}.{item.name}" if module in {"", "cosim"} else f"{dots}{module}" for item in node.names
            ]
    return found


def floor_of(module: str) -> str | None:
    """Return the floor that a module belongs to, None for one of somebody else."""
    parts = module.split(".")
    if parts[0] != "cosim":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in FLOORS else "cosim"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_file_imports_only_from_its_own_floor_and_below(path):
    """Experiments > agents > cosim > models; only the roof may look everywhere."""
    if name_of(path) in ROOF:
        return
    height = FLOORS.index(name_of(path).split("/")[0])
    above = [module for module in imports(path) if (floor := floor_of(module)) and FLOORS.index(floor) > height]
    assert above == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_big_dependency_enters_by_its_door(path):
    """pandapower, the solvers, numba, simpy, mesa, plotly: each only where the architecture says."""
    strays = [
        module
        for module in imports(path)
        if (doors := DOORS.get(module.split(".")[0])) and not any(opens(door, path) for door in doors)
    ]
    assert strays == []


def opens(door: str, path: Path) -> bool:
    """Say whether a door (a folder, a file, or a pattern) is this file."""
    return name_of(path).startswith(door) if door.endswith("/") else Path(name_of(path)).match(door)


@pytest.mark.parametrize("name", DOORS["pandapower"])
def test_the_doors_of_pandapower_are_used(name):
    """A door that nobody goes through is closed: it is taken off the list."""
    assert any(module.split(".")[0] == "pandapower" for module in imports(ROOT / name))


@pytest.mark.parametrize("path", [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))], ids=name_of)
def test_imports_are_absolute_and_from_one_package(path):
    """No relative imports, and never `agents`, `models` or `experiments` by their folder's name."""
    wrong = [module for module in imports(path) if module.split(".")[0] in {"", "agents", "models", "experiments"}]
    assert wrong == []


def in_new_process(code: str) -> subprocess.CompletedProcess:
    """Run some code in a fresh interpreter at the repository's root, as a user at a bare checkout would."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_a_strategy_contract_is_light():
    """Whoever writes a strategy does not wait for solvers, feeders or plots to load."""
    code = f"import sys, cosim.agents.prosumer.bidding.strategy; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert in_new_process(code).stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["agents", "models", "experiments"])
def test_folders_cannot_be_imported_by_their_own_name(name):
    """Loaded twice under two names, every class would exist twice."""
    found = in_new_process(f"import {name}")
    assert f"ImportError: import this package as cosim.{name}" in found.stderr


@pytest.mark.parametrize("name", ["cosim.cosim", "cosim.tests", "cosim.benchmarks", "cosim.no_such_room"])
def test_only_rooms_are_in_the_package(name):
    """A bare checkout offers no other folder of the repository as a part of the package."""
    assert f"No module named {name!r}" in in_new_process(f"import {name}").stderr


def test_packages_in_pyproject_are_the_folders():
    """Setuptools is told each package by name; a new folder must be listed, a listed one must exist."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {name_of(path.parent).replace("/", ".") for path in SOURCES}
    assert sorted(listed) == sorted("cosim" if name == "cosim" else f"cosim.{name}" for name in folders)


def test_every_folder_of_code_is_a_package():
    """Each has an __init__.py, and the tests have none (importlib mode)."""
    assert [name_of(path.parent) for path in SOURCES if not (path.parent / "__init__.py").exists()] == []
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def tracked_texts() -> list[Path]:
    """List the files of the repository that are kept under version control and are text."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    kept = [ROOT / line for line in listed.stdout.splitlines()]
    return [
        path for path in kept if path.is_file() and path.suffix not in {".parquet", ".png"} and path != Path(__file__)
    ]


def test_no_file_speaks_of_the_workplace():
    """Paths and papers of the place where this was written mean nothing to its reader."""
    words = ["/work/", "SEAMS", "this session", "previous session"]
    found = [
        f"{name_of(path)}: {word}"
        for path in tracked_texts()
        for word in words
        if word in path.read_text(errors="ignore")
    ]
    assert found == []
