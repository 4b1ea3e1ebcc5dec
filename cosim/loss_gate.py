"""Before a market clears: the operator tells the marketplace what energy fed in at each connection adds to losses."""

from collections.abc import Generator
from typing import Any

import numpy as np

from cosim.foreseen import loss_prices
from cosim.messages import OPERATOR, LossPrice
from cosim.models.step import PassiveLoad
from cosim.models.time import Horizon
from cosim.outages import state_at
from cosim.setting import Setting
from cosim.state import RunState
from cosim.talk import Ask, Gate, Send
from cosim.views import LossView


def losses_priced(
    setting: Setting, state: RunState, now: int, index: int, passive: PassiveLoad
) -> Generator[Ask | Send | Gate, Any, np.ndarray | None]:
    """Return the price of losses by connection (n,) for an interval, None where the market does not ask for it.

    The operator reckons at what was nominated for the interval before, with its own forecast of passive load; for the
    first interval of a run at nothing but that.
    """
    if not setting.price_losses or setting.faults.silent(OPERATOR, index):
        return None
    interval, (net_kw, reactive_kvar) = setting.interval(index), _nominated(state, index - 1, len(setting.ids))
    view = LossView(
        interval=interval,
        net_kw=net_kw,
        reactive_kvar=reactive_kvar,
        passive_kw=passive.p_kw,
        passive_kvar=passive.q_kvar,
        loss_eur_per_kwh=float(loss_prices(setting, Horizon(interval, (1,)), now)[0]),
        closed=state_at(setting, state, index),
    )
    letter: LossPrice = yield Send((yield Ask("operator", "loss_price", (view,))))
    state.loss_prices[index] = letter.eur_per_kwh
    return letter.eur_per_kwh


def _nominated(state: RunState, index: int, count: int) -> np.ndarray:
    """Return net and reactive power nominated for an interval (2, n), which may be over; zeros before the first."""
    pending = state.pending.get(index)
    if pending is not None:
        return np.stack([pending.nominated_kw, pending.nominated_kvar])
    return np.zeros((2, count)) if state.nominated_kva is None else state.nominated_kva
