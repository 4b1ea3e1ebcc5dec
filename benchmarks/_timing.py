"""How benchmarks take times."""

import time
from collections.abc import Callable
from typing import Any


def best_s(work: Callable[[], Any], repeats: int) -> float:
    """Return the shortest of some timings, after one call that does not count."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)
