"""What a block of a network says to others: bytes of letters by kind, per block and interval, around noon.

A block is what hangs together without the slack (`cosim.models.grid.blocks`). Letters between prosumers and operator
stay within their block, as no block's power flow feels another's; those of the marketplace and the supplier cross.
"""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from cosim.clock import Clock
from cosim.experiments.build import Build
from cosim.experiments.scenario import Scenario
from cosim.messages import OPERATOR, PROSUMERS, Letter
from cosim.models.grid.blocks import blocks_of

SCENARIO, NOON, TICKS = "city-v1", "2016-06-09T12:00:00+01:00", 6


def main() -> list[dict[str, Any]]:
    """Return a row for each kind of letter: whether it leaves its block, and kilobytes per block and interval."""
    scenario, folder = Scenario.load(SCENARIO, overrides={"time.start": NOON})
    world = Build(scenario, folder, keep_letters=True).world()
    began = world.state.tick
    Clock(world, None, lambda now: now < began + TICKS - 1).run()
    blocks = blocks_of(world.setting.truth.admittance()).count
    sent: dict[type[Letter], list[Letter]] = {}
    for letter in world.post.archive:
        sent.setdefault(type(letter), []).append(letter)
    rows: list[dict[str, Any]] = [
        {
            "letter": kind.__name__,
            "leaves its block": {kind.sender, kind.recipient} != {PROSUMERS, OPERATOR},
            "kB per block and interval": sum(map(size, letters))
            / 1e3
            / blocks
            / len({one.interval for one in letters}),
        }
        for kind, letters in sorted(sent.items(), key=lambda item: item[0].__name__)
    ]
    for leaves in (True, False):
        kb = [row["kB per block and interval"] for row in rows if row["leaves its block"] is leaves]
        rows.append({"letter": "all", "leaves its block": leaves, "kB per block and interval": sum(kb)})
    return [{"case": SCENARIO, "blocks": blocks, **row} for row in rows]


def size(value: Any) -> int:
    """Return the bytes of a letter's columns and numbers, whatever values they stand in."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if is_dataclass(value) and not isinstance(value, type):
        return sum(size(getattr(value, item.name)) for item in fields(value))
    return 8 if isinstance(value, int | float) else 0
