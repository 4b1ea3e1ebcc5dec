"""Whatever works off a sweep's cases, the results are the same."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

import cosim
from cosim.experiments.sweeps.engines import NEEDS, ONE_THREAD
from cosim.experiments.sweeps.sweep import Sweep

HOURLY = {"time.interval_s": 3600, "people.strategy": "truthful"}
VARY = {"people.pv_scale": [1.0, 3.5]}
WORDS = ["smoke-v1", "--vary", "people.pv_scale=1.0,3.5", "--seeds", "1"]
WORDS += ["--set", "time.interval_s=3600", "--strategy", "truthful"]


def hashes(sweep: Sweep) -> dict[str, str]:
    """Return the result hash of every case."""
    return dict(zip(sweep.cases["case"], sweep.cases["result_sha256"], strict=True))


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, str]:
    """Return the hashes of two cases that one worker worked off."""
    out = tmp_path_factory.mktemp("engines") / "alone"
    return hashes(cosim.sweep("smoke-v1", vary=VARY, seeds=[1], overrides=HOURLY, out=out, workers=1))


@pytest.mark.parametrize("engine", NEEDS)
def test_every_engine_gives_the_same_results(tmp_path, alone, engine):
    """Two processes of loky, Dask or Ray, against one of loky: the hash of every case."""
    if find_spec(NEEDS[engine]) is None:
        pytest.skip(f"{engine} is not installed: pip install 'cosim[{engine}]'")
    out = tmp_path / engine
    if engine == "loky":
        cosim.sweep("smoke-v1", vary=VARY, seeds=[1], overrides=HOURLY, out=out, workers=2)
    else:
        # Clusters import the main program again, which here is pytest: so they get one of their own.
        command = [sys.executable, "-m", "cosim", "sweep", *WORDS, "--engine", engine, "-j", "2", "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert hashes(Sweep(out)) == alone


def test_workers_do_linear_algebra_with_one_thread(monkeypatch):
    """The environment of loky's processes says so for every library that asks it."""
    from cosim.experiments.sweeps import engines

    monkeypatch.setattr(engines, "play", told_threads)
    told = list(engines.on_loky([None], 1))
    assert told == [dict.fromkeys(ONE_THREAD, "1")]


def told_threads(_case):
    """Return what the environment says of threads."""
    return {name: os.environ.get(name) for name in ONE_THREAD}
