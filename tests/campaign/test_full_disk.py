"""A disk that is full: the run ends with exit code 4 and a sentence, and goes on once there is room."""

import itertools
import subprocess
from typing import Any

import numpy as np
import pytest

SCENARIO, OVERRIDES = "smoke-v1", {"time.interval_s": 3600, "people.strategy": "truthful"}
STORAGE = 4


@pytest.fixture(scope="module")
def unbroken(breaker, tmp_path_factory):
    """Return the folder of the run that nothing has ended."""
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    assert breaker.play(folder, SCENARIO, OVERRIDES)["code"] == 0
    return folder


def faults_of(breaker, unbroken, folder, kind: str, value: float) -> tuple[int, list[str]]:
    """Have a run meet a full disk, and go on without; return its exit code at the first, and what went wrong."""
    first = breaker.play(folder, SCENARIO, OVERRIDES, kind, value)
    faults = []
    if first["code"] not in {0, STORAGE} or (first["code"] == STORAGE and not first["said"]):
        faults.append(f"{kind} {value}: exit {first['code']} {first['said']}")
    then = breaker.play(folder, SCENARIO, OVERRIDES)
    if then["code"] != 0:
        return first["code"], [*faults, f"after {kind} {value}: exit {then['code']} {then['said']}"]
    return first["code"], faults + [f"{kind} {value}: {what}" for what in breaker.differences(unbroken, folder)]


def campaign(breaker, unbroken, tmp_path, kind: str, values: Any) -> tuple[int, list[str]]:
    """Try values until one of them no longer ends the run; return how many did, and what went wrong."""
    ended, faults = 0, []
    for value in values:
        code, found = faults_of(breaker, unbroken, tmp_path / f"{kind}-{value}", kind, value)
        faults += found
        if code == 0:
            break
        ended += 1
    return ended, faults


def fibonacci() -> Any:
    """Yield 1, 2, 3, 5, 8, ..."""
    one, two = 1, 2
    while True:
        yield one
        one, two = two, one + two


def test_a_full_disk_ends_a_run_that_goes_on_later(breaker, unbroken, tmp_path, campaign_row):
    """At an early statement of the journal, and at a file of the sealed day."""
    found = [faults_of(breaker, unbroken, tmp_path / kind, kind, at) for kind, at in (("full", 40), ("unsettled", 3))]
    faults = [fault for _, each in found for fault in each]
    campaign_row("F", 2, len(faults), "full disk, the short part")
    assert [code for code, _ in found] == [STORAGE, STORAGE]
    assert faults == []


@pytest.mark.campaign
@pytest.mark.parametrize("kind", ["full", "unsettled"])
def test_whichever_write_fails_the_run_goes_on_later(breaker, unbroken, tmp_path, campaign_row, kind):
    """The n-th statement of the journal, or the n-th file that is made sure of, for n = 1, 2, 3, 5, 8, ..."""
    ended, faults = campaign(breaker, unbroken, tmp_path, kind, fibonacci())
    what = "statement of the journal" if kind == "full" else "file made sure of"
    campaign_row("F", ended, len(faults), f"full disk at the n-th {what}")
    assert ended > 3
    assert faults == []


@pytest.mark.campaign
def test_wherever_files_may_grow_no_further_the_run_goes_on_later(breaker, unbroken, tmp_path, campaign_row):
    """A limit on the size of files, from less than the manifest to less than the journal."""
    largest = max(path.stat().st_size for path in unbroken.rglob("*"))
    sizes = np.geomspace(100, 0.9 * largest, 15).astype(int).tolist()
    ended, faults = campaign(breaker, unbroken, tmp_path, "size", sizes)
    campaign_row("F", ended, len(faults), "files that may not grow beyond a size")
    assert ended > 10
    assert faults == []


@pytest.mark.campaign
def test_a_small_disk_is_filled_and_enlarged(breaker, unbroken, tmp_path, campaign_row):
    """A real file system of a few pages: full, then with room. Needs the right to mount one."""
    disk, faults, ended = tmp_path / "disk", [], 0
    disk.mkdir()
    for pages in itertools.accumulate([4, 8, 16, 32, 64], lambda one, more: one + more):
        options = f"size={4096 * pages}"
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=False, capture_output=True
        )
        if mounted.returncode:
            pytest.skip("no right to mount a file system")
        try:
            went = breaker.play(disk / "run", SCENARIO, OVERRIDES)
            ended += went["code"] == STORAGE
            faults += [] if went["code"] == STORAGE else [f"{pages} pages: exit {went['code']} {went['said']}"]
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            went = breaker.play(disk / "run", SCENARIO, OVERRIDES)
            faults += breaker.differences(unbroken, disk / "run") if went["code"] == 0 else [went["said"]]
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    campaign_row("F", ended, len(faults), "a small disk that is full, then enlarged")
    assert faults == []
