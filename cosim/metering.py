"""What meters make of energy, and what is settled where no reading arrives: the energy nominated.

What meters do not account for is loss, so a meter that counts too little costs the operator, one that counts too much
its owner. The ledger closes on the slack's meter in any case.
"""

from collections.abc import Generator
from typing import Any

import numpy as np

from cosim.messages import EnergyReading, GridReading
from cosim.models.devices.columns import Delivery
from cosim.models.market.order import WH_PER_KWH
from cosim.models.step import whole_wh
from cosim.models.time import Interval
from cosim.setting import Setting
from cosim.talk import Ask, Gate, Send
from cosim.unheard import where_heard

NAMED = 3
"""Most prosumers that an event names."""


def read(
    setting: Setting, delivery: Delivery, nominated_kw: np.ndarray, nominated_wh: np.ndarray, interval: Interval
) -> Generator[Ask | Send | Gate, Any, tuple[GridReading, np.ndarray]]:
    """Read the meters; return what the operator reads, and the energies that are settled (n,) Wh."""
    index, passed_wh = interval.index, whole_wh(delivery.net_kw, interval)
    factors = setting.faults.factors(index, len(setting.ids))
    net_kw = delivery.net_kw if factors is None else factors * delivery.net_kw
    counted_wh = passed_wh if factors is None else whole_wh(net_kw, interval)
    grid: GridReading = yield Send(GridReading(index, net_kw=net_kw, reactive_kvar=delivery.q_kvar))
    energy: EnergyReading = yield Send(EnergyReading(index, metered_wh=counted_wh))
    settled_wh = where_heard(energy.arrived, energy.metered_wh, nominated_wh)
    for cause, rows, said in (
        ("meter_wrong", counted_wh != passed_wh, "counted {settled:+.3f} instead of {passed:+.3f} kWh"),
        ("reading_missing", _missing(energy), "settled as nominated: {settled:+.3f} instead of {passed:+.3f} kWh"),
    ):
        if rows.any():
            detail = f"{_named(setting.ids, rows)}: " + said.format(
                settled=settled_wh[rows].sum() / WH_PER_KWH, passed=passed_wh[rows].sum() / WH_PER_KWH
            )
            yield Ask("recorder", "note", (index, "meters", cause, detail))
    return grid if grid.arrived is None else _as_nominated(grid, nominated_kw), settled_wh


def _missing(letter: EnergyReading) -> np.ndarray:
    """Mark the rows without a reading (n,)."""
    arrived = letter.arrived
    return np.zeros(len(letter.metered_wh), dtype=bool) if arrived is None else ~arrived


def _as_nominated(letter: GridReading, nominated_kw: np.ndarray) -> GridReading:
    """Return what an operator goes by that has no reading: that everybody keeps its nomination."""
    net_kw = where_heard(letter.arrived, letter.net_kw, nominated_kw)
    return GridReading(letter.interval, net_kw, where_heard(letter.arrived, letter.reactive_kvar, 0.0), letter.arrived)


def _named(ids: tuple[str, ...], rows: np.ndarray) -> str:
    """Name the prosumers marked (n,), the first few of many."""
    found = [ids[row] for row in np.flatnonzero(rows)]
    return ", ".join(found[:NAMED]) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")
