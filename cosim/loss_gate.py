"""Before a market clears: the operator tells the marketplace what energy fed in at each connection adds to losses."""

from collections.abc import Generator
from typing import Any

import numpy as np

from cosim.foreseen import loss_prices
from cosim.messages import OPERATOR, LossPrice
from cosim.models.step import PassiveLoad
from cosim.models.time import Horizon
from cosim.outages import planned_state
from cosim.setting import Setting
from cosim.state import RunState
from cosim.talk import Ask, Gate, Send
from cosim.views import LossView


def losses_priced(
    setting: Setting, state: RunState, now: int, index: int, passive: PassiveLoad
) -> Generator[Ask | Send | Gate, Any, np.ndarray | None]:
    """Return the price of losses by connection (n,) for an interval, None where the market does not ask for it.

    The operator reckons at what was nominated for the interval before, with its own forecast of passive load.
    """
    if not setting.price_losses or setting.faults.silent(OPERATOR, index):
        return None
    before, none = state.pending.get(index - 1), np.zeros(len(setting.ids))
    interval = setting.interval(index)
    view = LossView(
        interval=interval,
        net_kw=none if before is None else before.nominated_kw,
        reactive_kvar=none if before is None else before.nominated_kvar,
        passive_kw=passive.p_kw,
        passive_kvar=passive.q_kvar,
        loss_eur_per_kwh=float(loss_prices(setting, Horizon(interval, (1,)), now)[0]),
        closed=planned_state(setting, state, index),
    )
    letter: LossPrice = yield Send((yield Ask("operator", "loss_price", (view,))))
    return letter.eur_per_kwh
