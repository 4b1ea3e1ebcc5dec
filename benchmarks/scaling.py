"""How the time of an interval and the memory of a run grow: in prosumers, in buses, in days, in rounds of negotiation.

Every size is a process of its own, without a baseline beside it, timed from its second interval on with everything in
(plans, envelopes, AC verdicts, market, settlement, journal). Prosumers and buses are drawn like those of district-v1,
a clear June day from eleven o'clock on: one prosumer for each connection in the first series, a hundred and otherwise
passive homes in the second. Days are of the village by rules, rounds of its negotiated envelopes. An exponent is the
slope of a line through the logarithms. `--most` leaves out larger sizes.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks._apart import Case, measured

SIZES = (32, 100, 320, 1_000, 3_200, 10_000)
BUSES = (100, 320, 1_000, 3_200, 10_000)
DAYS = (1, 2, 4, 8)
ROUNDS = (1, 2, 5, 10)
INTERVALS = 8
FEEDER_BUSES = 500
HOMES = 100
NOON = {"time.start": "2016-06-09T11:00:00+01:00"}


def main(most: int = SIZES[-1]) -> list[dict[str, Any]]:
    """Measure all series up to a size and return a row for each size, and one for each series' exponents."""
    rows = []
    for series, cases in _series(most).items():
        found = [{"series": series, "size": size, **measured(case)} for size, case in cases]
        rows += [*found, *_exponents(series, found)]
    return rows


def _series(most: int) -> dict[str, list[tuple[int, Case]]]:
    everybody = [(size, _drawn(size, round(size * 1.1))) for size in SIZES if size <= most]
    few = [(buses, _drawn(HOMES, buses)) for buses in BUSES if buses <= most]
    days = [(day, Case("village-v1", {"people.strategy": "self_consumption", "time.days": day})) for day in DAYS]
    return {"prosumers": everybody, "buses": few, "days": days, "rounds": [(k, _negotiated(k)) for k in ROUNDS]}


def _drawn(prosumers: int, buses: int) -> Case:
    """Return a case with so many prosumers and about so many buses, on feeders of 500 at most."""
    feeders = -(-buses // FEEDER_BUSES) if buses > FEEDER_BUSES else 1
    network = {"grid.drawn": {"feeders": feeders, "buses": buses // feeders, "seed": 1}}
    return Case("district-v1", {**NOON, **network, "people.drawn.prosumers": prosumers}, INTERVALS)


def _negotiated(rounds: int) -> Case:
    """Return a case in which every interval's room takes all its rounds."""
    room = {"rounds": rounds, "day_gate": False, "tolerance": 1e-12, "unmoved": 0.0}
    overrides = {"operator.envelopes": "negotiated", **{f"negotiation.{key}": value for key, value in room.items()}}
    return Case("village-v1", {"time.start": "2016-06-20T11:00:00+01:00", **overrides}, INTERVALS)


def _exponents(series: str, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the slopes of time and memory over size, both as logarithms, where there are two sizes."""
    if len(rows) > 1:
        size = np.log([row["size"] for row in rows])
        slopes = {key: float(np.polyfit(size, np.log([row[key] for row in rows]), 1)[0]) for key in ("ms", "peak MiB")}
        yield {"series": series, "size": "exponent", **slopes}


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(main()))
