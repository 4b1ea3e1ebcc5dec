"""Whatever ends a sweep half-way, nothing finished is lost, and the next call comes to the same results."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from cosim.experiments.sweeps.case import Outcome, play
from cosim.experiments.sweeps.conduct import StoppedError, conduct
from cosim.experiments.sweeps.engines import WorkerLostError
from cosim.experiments.sweeps.specification import Specification, specify
from cosim.experiments.sweeps.sweep import Sweep
from cosim.experiments.sweeps.wish import Wish
from cosim.models.faults import Gathered

HOURLY = {"time.interval_s": 3600, "people.strategy": "truthful"}
VARY = {"people.pv_scale": [1.0, 3.5]}
WORDS = ["smoke-v1", "--vary", "people.pv_scale=1.0,3.5", "--seeds", "1,2"]
WORDS += ["--set", "time.interval_s=3600", "--strategy", "truthful"]


def hashes(sweep: Sweep) -> dict[str, str]:
    """Return the result hash of every case."""
    return dict(zip(sweep.cases["case"], sweep.cases["result_sha256"], strict=True))


def here(cases, _workers):
    """Work off cases in this very process, which has everything loaded."""
    yield from map(play, cases)


@pytest.fixture(scope="module")
def specification() -> Specification:
    """Return a sweep of four cases, checked."""
    return specify(Wish("smoke-v1", [*VARY.items()], (1, 2), settings=HOURLY), Gathered(), known=True)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, specification) -> dict[str, str]:
    """Return the hashes of the sweep that nothing has ended."""
    out = tmp_path_factory.mktemp("stopped") / "unbroken"
    conduct(specification, out, here, 1)
    return hashes(Sweep(out))


def test_ctrl_c_stops_and_the_same_sweep_goes_on(tmp_path, unbroken, specification):
    """After the first case: exit code 130, no traceback, no process left behind; then the same hashes."""
    command = [sys.executable, "-m", "cosim", "sweep", *WORDS, "-j", "1", "--out", str(tmp_path / "made")]
    # a shell that runs the tests in the background lets its children ignore Ctrl-C
    heard = {"preexec_fn": partial(signal.signal, signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **heard) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
    assert first.startswith("1 of 4")
    assert process.returncode == 130, told
    assert told.splitlines()[-1].startswith("stopped with ")
    assert told.splitlines()[-1].endswith(" of 4 cases finished; the same command goes on")
    assert "Traceback" not in told
    assert not alive_in(tmp_path)
    assert conduct(specification, tmp_path / "made", here, 1).finished == 4
    assert hashes(Sweep(tmp_path / "made")) == unbroken


def test_killed_outright_it_leaves_no_worker_behind(tmp_path, unbroken, specification):
    """After kill -9 of the sweep its worker ends by itself, and the next call comes to the same results."""
    command = [sys.executable, "-m", "cosim", "sweep", *WORDS, "-j", "1", "--out", str(tmp_path / "made")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.kill()
    deadline = time.monotonic() + 20.0
    while alive_in(tmp_path) and time.monotonic() < deadline:
        pass
    assert not alive_in(tmp_path)
    assert conduct(specification, tmp_path / "made", here, 1).finished == 4
    assert hashes(Sweep(tmp_path / "made")) == unbroken


def alive_in(folder: Path) -> list[str]:
    """List processes that still write a run below a folder."""
    pids = [pid.read_text() for pid in folder.glob("*/cases/*/writer.pid")]
    time.sleep(0.2)
    return [pid for pid in pids if pid and Path(f"/proc/{pid}").exists()]


def test_a_killed_worker_loses_nothing(tmp_path, unbroken, specification):
    """Whenever the engine is broken after a case, what is left is handed out again, until all have ended."""
    calls = []

    def breaking(cases, workers):
        calls.append([case.name for case in cases])
        yield from here(cases[:1], workers)
        if len(cases) > 1:
            raise WorkerLostError("a worker was ended from outside")

    done = conduct(specification, tmp_path / "made", breaking, 1)
    assert [len(call) for call in calls] == [4, 3, 2, 1]
    assert done.finished == 4
    assert hashes(Sweep(tmp_path / "made")) == unbroken


def test_workers_that_die_again_and_again_end_the_sweep(tmp_path, specification):
    """When no case ends between two lost workers, going on would never end: exit code 3, what there is is kept."""

    def dying(_cases, _workers):
        yield from ()
        raise WorkerLostError("a worker was ended from outside")

    with pytest.raises(WorkerLostError, match="no case has ended since the last time") as caught:
        conduct(specification, tmp_path / "made", dying, 1)
    assert caught.value.exit_code == 3


def test_a_worker_that_is_really_killed_breaks_its_engine(tmp_path, specification, monkeypatch):
    """Loky tells of a process that was killed from outside as a lost worker, not as a result."""
    from cosim.experiments.sweeps import engines

    monkeypatch.setattr(engines, "play", end_this_process)
    with pytest.raises(WorkerLostError, match="a worker was ended from outside"):
        list(engines.on_loky(list(specification.cases(tmp_path))[:1], 1))


def end_this_process(_case):
    """Die as a process does that the system has no memory for."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_signal_to_a_case_stops_the_sweep(tmp_path, specification):
    """What a worker was told to stop for stops all; the count of what has finished is true."""

    def stopped(cases, _workers):
        yield Outcome(cases[0].name, 1.0, reason="stopped by a signal", code=130)

    with pytest.raises(StoppedError, match="stopped with 0 of 4 cases finished"):
        conduct(specification, tmp_path / "made", stopped, 1)
