"""The wheel, installed elsewhere and run from another folder: wheels lose package data, editable installs never."""

import json
import os
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the interpreter of an environment that holds the wheel, and our dependencies by path only."""
    folder = tmp_path_factory.mktemp("wheel")
    wheels = folder / "wheels"
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(wheels), str(ROOT)], check=True, capture_output=True)
    venv.create(folder / "env", with_pip=False, symlinks=True)
    own = folder / "env" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (wheel,) = wheels.glob("cosim-*.whl")
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(own),
    ]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    # A path file does not run the path files inside it, so the editable install beside the dependencies stays out.
    (own / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder / "env" / "bin" / "python"


def cosim(python: Path, folder: Path, *words: str) -> str:
    """Run the command line from a folder that has nothing to do with the repository."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    # Kernels have no compiled forms in a new place; for so little, compiling them takes longer than doing without.
    environment["NUMBA_DISABLE_JIT"] = "1"
    command = [str(python), "-m", "cosim", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_is_what_runs(python: Path, tmp_path: Path) -> None:
    """The package that is imported is the wheel's, with its rooms inside it."""
    code = "import cosim, cosim.models; print(cosim.__file__, cosim.models.__file__)"
    printed = subprocess.run([str(python), "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert printed.count("site-packages/cosim/") == 2


def test_powerflow_of_a_bundled_network(python: Path, tmp_path: Path) -> None:
    """Bundled networks are in the wheel: 69 buses lose 224.99 kW in their base case."""
    figures = json.loads(cosim(python, tmp_path, "powerflow", "ieee69", "--json"))
    assert figures["converged"]
    assert abs(figures["loss_kw"] - 224.9917) < 1e-3


def test_run_of_a_bundled_scenario(python: Path, tmp_path: Path) -> None:
    """Scenarios, profiles and the report's template are in the wheel."""
    hourly = ("--set", "time.interval_s=3600")
    cosim(python, tmp_path, "run", "smoke-v1", "--out", "out", "--strategy", "truthful", "--no-baseline", *hourly)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["intervals"] == 24
    assert (tmp_path / "out" / "report.html").stat().st_size > 1_000_000
