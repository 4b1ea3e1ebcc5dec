"""Work whose parts need not wait for each other, shared by threads; what comes out does not depend on how many.

Compiled kernels run without the interpreter lock. Parts write to places of their own, so that neither their order nor
the number of threads changes a bit. Runs that share a machine are told ``COSIM_NUM_THREADS=1``.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Final, TypeVar

VARIABLE: Final = "COSIM_NUM_THREADS"
# More parts than threads: who is done early takes what is left of the others.
PARTS_EACH: Final = 4

Part = TypeVar("Part")


def thread_count() -> int:
    """Return how many threads a process may use: as the environment says, or one for each core it may run on."""
    asked = os.environ.get(VARIABLE, "")
    return max(1, int(asked)) if asked.isdigit() else usable_cores()


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def side_by_side(work: Callable[[int, int], object], count: int, *, least: int) -> None:
    """Call work(first, end) over all of `count` pieces, on threads where each gets `least` pieces or more."""
    threads = min(thread_count(), count // max(least, 1))
    in_parts(work, count, min(threads * PARTS_EACH, count // least) if threads > 1 else 1)


def in_parts(work: Callable[[int, int], Part], count: int, parts: int) -> list[Part]:
    """Return what work(first, end) returns for each of some parts of `count` pieces, in their order, on all threads."""
    edges = [count * part // parts for part in range(parts + 1)]
    threads = min(thread_count(), parts)
    if threads <= 1:
        return [work(first, end) for first, end in pairwise(edges)]
    with ThreadPoolExecutor(threads) as pool:
        return [done.result() for done in [pool.submit(work, first, end) for first, end in pairwise(edges)]]
