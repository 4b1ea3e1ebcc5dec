"""What went wrong in the delivery of an interval, in sentences; and what somebody does who withholds its energy."""

from collections.abc import Iterator

import numpy as np

from cosim.models.envelope import Envelopes
from cosim.models.step import PassiveLoad, StepResult
from cosim.models.time import Interval
from cosim.outages import Lit
from cosim.setting import Setting
from cosim.state import Pending


def enforced(setting: Setting, held: Pending, index: int) -> Envelopes:
    """Return the bands that connection points keep to: who withholds feeds nothing in, whatever it may."""
    rows = setting.faults.withholding(index)
    if not len(rows):
        return held.envelopes
    lower, upper = held.envelopes.lower_kw.copy(), held.envelopes.upper_kw.copy()
    lower[rows], upper[rows] = np.minimum(lower[rows], 0.0), np.minimum(upper[rows], 0.0)
    return Envelopes(lower, upper)


def mishaps(
    setting: Setting,
    held: Pending,
    lit: Lit,
    asked: PassiveLoad,
    carried: tuple[float, StepResult, PassiveLoad],
    interval: Interval,
) -> Iterator[tuple[str, str]]:
    """Yield causes and sentences for the event table."""
    share, result, _ = carried
    if lit.buses is not None and lit.rows is not None:
        people, unserved_kwh = int((~lit.rows).sum()), 0.0 - interval.energy_kwh(float(asked.p_kw[~lit.buses].sum()))
        if people or unserved_kwh:
            yield "cut_off", f"{people} prosumers and {unserved_kwh:.3f} kWh of passive load are without voltage"
    if share < 1.0:
        yield "diverged", f"only {share:.0%} could be carried"
    if result.unsettled_kva > 0.0:
        yield "local_control", f"inverters still miss their own laws by {float(result.unsettled_kva):.3g} kVA"
    for row in setting.faults.withholding(interval.index).tolist():
        missing_kwh = interval.energy_kwh(float(held.nominated_kw[row] - result.delivery.net_kw[row]))
        if missing_kwh > 0.0:
            yield "withheld", f"{setting.ids[row]} delivers {missing_kwh:.3f} kWh less than it nominated"
    if gap := next((one for one in setting.faults.price_gaps if interval.index in one), None):
        price = float(setting.day_ahead.at(np.array([interval.start_s]))[0])
        yield "price_missing", f"the day-ahead price before interval {gap.begin} stands in: {price:.5f} EUR/kWh"
