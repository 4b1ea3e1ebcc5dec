"""Where the cases of a sweep are worked off: processes of this machine (joblib's loky), Dask, or Ray.

All three run the same function on the same plain data, each case in a process that does its linear algebra with one
thread; a result depends on its case alone. `joblib.Parallel` is not used: with one job it would run cases in this
process, whose thread pools are its own, and over Ray it tells of no case before all have ended.
"""

import importlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, Final

from cosim.experiments.sweeps.case import Case, Outcome, play
from cosim.models.errors import BadInputError, CosimError, Fault, did_you_mean

Outcomes = Generator[Outcome, None, None]
Engine = Callable[[Sequence[Case], int], Outcomes]
# What each engine needs beside the package itself.
NEEDS: Final = {"loky": "joblib", "dask": "distributed", "ray": "ray"}
# How often a worker looks whether its parent is still there.
ORPHAN_S: Final = 0.5
# BLAS products differ between one thread and two.
ONE_THREAD: Final = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMBA", "NUMEXPR", "COSIM")
} | {"VECLIB_MAXIMUM_THREADS": "1"}


class WorkerLostError(CosimError):
    """A worker was ended from outside; what its case had committed is kept."""

    exit_code = 3


def engine_faults(name: str, workers: int | None) -> Iterator[Fault]:
    """Yield what is wrong with an engine's name and number of workers."""
    if name not in NEEDS:
        yield Fault("command line", "--engine", repr(name[:80]), did_you_mean(name, NEEDS))
    elif find_spec(NEEDS[name]) is None:
        yield Fault("command line", "--engine", repr(name), f"it is not installed; `pip install 'cosim[{name}]'` does")
    if workers is not None and workers < 1:
        yield Fault("command line", "-j", str(workers), "allowed is 1 or more")


def engine(name: str) -> Engine:
    """Return an engine by name; BadInputError where it is unknown or not installed."""
    if faults := list(engine_faults(name, None)):
        raise BadInputError(faults)
    return {"loky": on_loky, "dask": on_dask, "ray": on_ray}[name]


def usable_cores() -> int:
    """Return how many processes this machine gives us at a time."""
    from joblib import cpu_count

    return int(cpu_count())


def on_loky(cases: Sequence[Case], workers: int) -> Outcomes:
    """Yield outcomes as they come from processes of this machine; WorkerLostError when one of them was killed."""
    from joblib.externals.loky import BrokenProcessPool, ProcessPoolExecutor, as_completed

    pool = ProcessPoolExecutor(max_workers=workers, env=ONE_THREAD, initializer=_settle_in, initargs=(os.getpid(),))
    try:
        for future in as_completed([pool.submit(play, case) for case in cases]):
            yield future.result()
    except BrokenProcessPool as error:
        raise WorkerLostError(f"a worker was ended from outside: {str(error).splitlines()[0]}") from error
    finally:
        # Whatever still runs has committed its intervals and is gone on with next time.
        pool.shutdown(wait=True, kill_workers=True)


def on_dask(cases: Sequence[Case], workers: int) -> Outcomes:
    """Yield outcomes as they come from a Dask cluster: the configured one, or one of this machine with `workers`."""
    distributed, configured = importlib.import_module("distributed"), importlib.import_module("dask").config
    own = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.Client(**({} if configured.get("scheduler-address", None) else own)) as client:
        futures = client.map(play, cases, pure=False)
        for future in distributed.as_completed(futures):
            if future.status == "error":
                raise WorkerLostError(f"a case ended its workers: {future.exception()}")
            yield future.result()


def on_ray(cases: Sequence[Case], workers: int) -> Outcomes:
    """Yield outcomes as they come from a Ray cluster: that of RAY_ADDRESS, or one of this machine with `workers`."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = importlib.import_module("ray")
    cluster = "RAY_ADDRESS" in os.environ
    ray.init(
        log_to_driver=False,
        logging_level=logging.ERROR,
        **({} if cluster else {"num_cpus": workers, "include_dashboard": False}),
    )
    try:
        work: Any = ray.remote(num_cpus=1, runtime_env={"env_vars": ONE_THREAD})(play)
        pending = [work.remote(case) for case in cases]
        while pending:
            (done, *_), pending = ray.wait(pending, num_returns=1)
            yield ray.get(done)
    except ray.exceptions.WorkerCrashedError as error:
        raise WorkerLostError(f"a case ended its workers: {error}") from error
    finally:
        ray.shutdown()


def _settle_in(parent: int) -> None:
    """Let Ctrl-C, which reaches every process of a terminal, be answered once; print nothing between the results."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process soon after its parent was killed: nobody waits for its results, and its case is to be free."""
    while os.getppid() == parent:
        time.sleep(ORPHAN_S)
    os._exit(1)
