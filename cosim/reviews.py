"""Prosumers look at what each of them saves, and now and then review their strategies.

A review is for whole days of intervals: it takes place when the first of them is about to be decided, and what it sees
is settled. Intervals of the days before that are not settled by then, as many as the gate leads, are not seen.
"""

from collections.abc import Generator
from typing import Any

from cosim.models.devices.columns import Exogenous
from cosim.models.market.settlement import SettlementPrices
from cosim.models.time import Interval
from cosim.recorder import Tables
from cosim.savings import Settled
from cosim.setting import Setting
from cosim.state import RunState
from cosim.talk import Ask, Gate, Send
from cosim.views import ReviewView


def compared(
    setting: Setting,
    state: RunState,
    settled: Settled,
    exogenous: Exogenous,
    prices: SettlementPrices,
    interval: Interval,
    told: Tables,
) -> Generator[Ask | Send | Gate, Any, None]:
    """Count what everybody saved in an interval; add it to the tables, and the strategies of a day to its first."""
    if state.savings is None:
        return
    portfolio = setting.community.portfolio
    state.savings = state.savings.after(portfolio, settled, exogenous, prices, interval)
    told["prosumers"] |= {"saved_eur": state.savings.saved_eur, "exchanged_kwh": state.savings.exchanged_kwh}
    if interval.index % setting.intervals_per_day == 0:
        told["strategies"] = yield Ask("prosumers", "strategies", ())


def reviewed(setting: Setting, state: RunState, now: int) -> Generator[Ask | Send | Gate, Any, None]:
    """Let prosumers review their strategies at tick `now`, if the interval that is decided next begins a period."""
    index, every = now + setting.gate_lead, setting.review_intervals
    if every is None or state.savings is None or index % every or not 0 < index < setting.intervals:
        return
    told = ReviewView(setting.interval(index), state.savings.total_eur, state.savings.total_kwh)
    yield Ask("prosumers", "review", (told,))
    state.savings = state.savings.read()
