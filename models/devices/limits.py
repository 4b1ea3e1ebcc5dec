"""How far a connection point could go in one interval."""

from dataclasses import dataclass

import numpy as np

from cosim.models.devices.columns import DeviceState, Exogenous
from cosim.models.devices.portfolio import Portfolio
from cosim.models.time import Interval


@dataclass(frozen=True, slots=True)
class PowerRange:
    """Net powers in kW (..., n) with lower_kw <= firm_kw <= upper_kw.

    `firm_kw` serves everything that cannot wait and counts no generation that can be held back, no battery
    and no car that gives back; `lower_kw` is the most import, `upper_kw` the most export that leaves nobody
    short. Both respect the rating of the connection as far as the firm point does.
    """

    firm_kw: np.ndarray
    lower_kw: np.ndarray
    upper_kw: np.ndarray


def limits(portfolio: Portfolio, state: DeviceState, exogenous: Exogenous, interval: Interval) -> PowerRange:
    """Return the range of net power that the devices can reach in the interval."""
    spans = portfolio.spans(state, exogenous, interval.hours)
    flexible = (spans.shiftable, spans.ev, spans.heat_pump)
    loads = spans.demand.firm_kw + flexible[0].firm_kw + flexible[1].firm_kw + flexible[2].firm_kw
    firm = loads + spans.generation.firm_kw
    lower = spans.demand.lower_kw + spans.battery.lower_kw + spans.generation.lower_kw
    lower = lower + flexible[0].lower_kw + flexible[1].lower_kw + flexible[2].lower_kw
    upper = loads + spans.battery.upper_kw + spans.generation.upper_kw + (spans.ev.back_kw - spans.ev.firm_kw)
    return PowerRange(
        firm_kw=firm,
        lower_kw=np.minimum(np.maximum(lower, -portfolio.connection_kw), firm),
        upper_kw=np.maximum(np.minimum(upper, portfolio.connection_kw), firm),
    )
