"""The marketplace: admits orders, clears them by its mechanism, and voids what the operator cancels."""

from typing import Any

from cosim.agents.marketplace.admission import admit
from cosim.guard import Guard
from cosim.messages import Cancellation
from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism, Trades, void
from cosim.models.market.order import Orders
from cosim.views import ClearView

NAME = "marketplace"


class Marketplace:
    """Knows orders, countersigned volumes and its own mechanism; nothing of devices or grid."""

    def __init__(self, mechanism: Mechanism, ids: tuple[str, ...], guard: Guard) -> None:
        self._mechanism = mechanism
        self._ids = ids
        self._guard = guard

    def clear(self, view: ClearView) -> Clearing:
        """Admit and match; `filled_wh` belongs to the admitted book."""
        index = view.interval.index
        admitted = admit(view)
        for row, cause in admitted.refusals:
            who = self._ids[row] if 0 <= row < len(self._ids) else NAME
            self._guard.note(index, who, "order_refused", cause)
        context = MarketContext(view.interval, view.floor_eur_per_kwh, view.ceiling_eur_per_kwh)
        return self._guard.call(
            lambda: self._mechanism.clear(admitted.orders, context),
            faults=lambda result: _clearing_faults(result, admitted.orders),
            fallback=lambda: Clearing.nothing(admitted.orders),
            agent=NAME,
            interval=index,
        )

    def cancel(self, trades: Trades, cancellation: Cancellation) -> Trades:
        """Void fills beyond what the operator still carries, pro rata on both sides."""
        return void(trades, cancellation.sell_wh, cancellation.buy_wh)

    def memory(self) -> dict[str, Any]:
        """Return what the mechanism keeps between intervals: nothing, books are cleared within one."""
        return {}

    def restore(self, memory: dict[str, Any]) -> None:
        """Take up what `memory` returned."""


def _clearing_faults(result: Any, orders: Orders) -> list[str]:
    """Say what is wrong with a mechanism's answer: fills beyond orders, trades that are not the fills."""
    if not isinstance(result, Clearing):
        return [f"clear returned a {type(result).__name__}; a Clearing is needed"]
    if len(result.filled_wh) != len(orders):
        return [f"{len(result.filled_wh)} fills for {len(orders)} orders"]
    if ((result.filled_wh < 0) | (result.filled_wh > orders.energy_wh)).any():
        return ["an order is filled beyond its energy"]
    if int(result.filled_wh.sum()) != 2 * result.trades.volume_wh:
        return ["fills and trades differ"]
    return []
