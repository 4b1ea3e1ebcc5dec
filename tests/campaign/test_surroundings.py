"""One scenario, one seed, one result: whatever the process, the machine's settings, and what ran before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "one_hash.py"
PLAIN = ("here", "no", "no")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
SURROUNDINGS: dict[str, tuple[tuple[str, str, str], dict[str, str]]] = {
    "as it comes": (PLAIN, {}),
    "another seed of hashes": (PLAIN, {"PYTHONHASHSEED": "4711"}),
    "no seed of hashes": (PLAIN, {"PYTHONHASHSEED": "0"}),
    "one thread": (PLAIN, dict.fromkeys(THREADS, "1")),
    "four threads": (PLAIN, dict.fromkeys(THREADS, "4")),
    "another time zone": (PLAIN, {"TZ": "Pacific/Auckland"}),
    "another language": (PLAIN, {"LANG": "tr_TR.UTF-8", "LC_ALL": "C"}),
    "without compiled caches": (PLAIN, {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONOPTIMIZE": "0"}),
    "forked": (("fork", "no", "no"), {}),
    "spawned": (("spawn", "no", "no"), {}),
    "from a fork server": (("forkserver", "no", "no"), {}),
    "after another run": (("here", "yes", "no"), {}),
    "under an observer": (("here", "no", "yes"), {}),
}


def digest(folder: Path, how: tuple[str, str, str], env: dict[str, str]) -> str:
    """Return the hash of the run in some surroundings, or its last complaint."""
    found = subprocess.run(
        [sys.executable, str(SCRIPT), *how],
        env={**os.environ, **env},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() if found.returncode == 0 else found.stderr[-300:]


def test_two_processes_as_unlike_as_can_be_have_one_hash(tmp_path, campaign_row):
    """Another seed of hashes, time zone, language, folder, number of threads, a run before, and an observer at once."""
    env = {"PYTHONHASHSEED": "4711", "TZ": "Pacific/Auckland", "LC_ALL": "C", **dict.fromkeys(THREADS, "1")}
    (tmp_path / "elsewhere").mkdir()
    digests = {
        digest(tmp_path, PLAIN, {"PYTHONHASHSEED": "0", "TZ": "UTC"}),
        digest(tmp_path / "elsewhere", ("here", "yes", "yes"), env),
    }
    campaign_row("H", 2, len(digests) - 1, "two processes as unlike as can be")
    assert [len(each) for each in digests] == [64]


@pytest.mark.campaign
def test_surroundings_do_not_show(tmp_path, campaign_row):
    """Hash seeds, threads, time zone, language, folder, start method, an earlier run, an observer: one hash."""
    digests = {}
    for name, (how, env) in SURROUNDINGS.items():
        folder = tmp_path / name
        folder.mkdir()
        digests[name] = digest(folder, how, env)
    others = {name: found for name, found in digests.items() if found != digests["as it comes"]}
    campaign_row("H", len(digests), len(others), "surroundings of a run")
    assert len(digests["as it comes"]) == 64
    assert others == {}
