"""Real kills: a process is killed with SIGKILL at random moments until its run is through."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from cosim.experiments.run import Run
from cosim.journal import Journal

BEGIN = """
import sys
from pathlib import Path
from cosim.experiments.run import Request, continue_run, execute
folder = Path(sys.argv[1])
print("ready", flush=True)
if folder.exists():
    continue_run(folder)
else:
    execute(Request("smoke-v1", folder, overrides={"people.strategy": "truthful"}))
"""


def run_until(folder, seconds: float | None) -> bool:
    """Begin or go on with a run, and kill it that many seconds after it was ready; say whether it got through."""
    process = subprocess.Popen([sys.executable, "-c", BEGIN, str(folder)], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.stdout.close()
    return process.wait() == 0


@pytest.mark.campaign
def test_killed_again_and_again_the_result_is_that_of_an_unbroken_run(tmp_path):
    """Twenty kills at random moments: the run gets through with the hash and the tables of the unbroken one."""
    moments = np.random.default_rng(1).uniform(0.4, 1.3, 20)
    assert run_until(tmp_path / "unbroken", None)
    unbroken, broken = Run(tmp_path / "unbroken"), tmp_path / "broken"
    ticks = []
    for seconds in moments:
        if run_until(broken, seconds):
            break
        if (broken / "journal.sqlite").exists():
            journal = Journal.open(broken)
            latest = journal.latest()
            ticks.append(latest[0] if latest else None)
            journal.close()
    assert run_until(broken, None)
    assert len(ticks) > 1
    assert Run(broken).summary["result_sha256"] == unbroken.summary["result_sha256"]
    for name in unbroken.tables:
        assert Run(broken).table(name).equals(unbroken.table(name))
