"""The marketplace: admits orders, clears them by its mechanism, and voids what the operator cancels."""

from typing import Any

import numpy as np

from cosim.agents.marketplace.admission import admit
from cosim.agents.marketplace.pool import PoolDesk
from cosim.guard import Guard
from cosim.messages import Cancellation, PoolBid, PoolOffer, PoolProgress, RoomProgress
from cosim.models.market.losses import clear_with_losses
from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism, Trades, void
from cosim.models.market.order import MAX_ENERGY_WH, SELL, Orders
from cosim.negotiation import Terms
from cosim.unheard import where_heard
from cosim.views import ClearView

NAME = "marketplace"


class Marketplace:
    """Knows orders, countersigned volumes and its own mechanism; nothing of devices or grid."""

    def __init__(self, mechanism: Mechanism, ids: tuple[str, ...], guard: Guard) -> None:
        self._mechanism = mechanism
        self._ids = ids
        self._guard = guard
        self._desk: PoolDesk | None = None

    @property
    def desk(self) -> PoolDesk:
        """The pool of the negotiation that is going on."""
        if self._desk is None:
            raise RuntimeError("no pool has been opened")
        return self._desk

    def open_pool(self, index: int, count: int, price_eur_per_kwh: np.ndarray, terms: Terms) -> PoolOffer:
        """Open a pool of some prosumers for a negotiation, at a first price (H,)."""
        self._desk = PoolDesk(index, count, price_eur_per_kwh, terms)
        return self._desk.opening()

    def hear_pool(self, bid: PoolBid) -> PoolProgress:
        """Take the bids of a round."""
        return self.desk.hear(bid)

    def in_balance(self, bid: PoolBid) -> bool:
        """Take the bids of a nested round and say whether they balance."""
        return self.desk.in_balance(bid)

    def offer_pool(self, progress: RoomProgress | None) -> PoolOffer:
        """Say what would balance."""
        return self.desk.offer(progress)

    def close_pool(self, context: MarketContext) -> tuple[Trades, float]:
        """Return the trades that the pool has come to for the interval, and their price."""
        return self.desk.clearing(context)

    def clear(self, view: ClearView) -> Clearing:
        """Admit and match; `filled_wh` belongs to the admitted book."""
        index = view.interval.index
        admitted = admit(view)
        for row, cause in admitted.refusals:
            who = self._ids[row] if 0 <= row < len(self._ids) else NAME
            self._guard.note(index, who, "order_refused", cause)
        prices = view.floor_eur_per_kwh, view.ceiling_eur_per_kwh, view.fee_eur_per_kwh
        context = MarketContext(view.interval, *prices)
        clearing = self._guard.call(
            lambda: self._cleared(admitted.orders, context, view.loss_eur_per_kwh),
            faults=lambda result: _clearing_faults(result, admitted.orders),
            fallback=lambda: Clearing.nothing(admitted.orders),
            agent=NAME,
            interval=index,
            seat="mechanism",
        )
        for cause, detail in clearing.remarks:
            self._guard.note(index, NAME, cause, detail)
        return clearing

    def _cleared(self, orders: Orders, context: MarketContext, loss_eur_per_kwh: np.ndarray | None) -> Clearing:
        """Clear by the mechanism, with losses in prices where the operator has named theirs."""
        if loss_eur_per_kwh is None:
            return self._mechanism.clear(orders, context)
        return clear_with_losses(self._mechanism, orders, context, loss_eur_per_kwh)

    def cancel(self, trades: Trades, cancellation: Cancellation) -> Trades:
        """Void fills beyond what the operator still carries, pro rata on both sides; of whom it has heard so."""
        heard, sell_wh, buy_wh = cancellation.arrived, cancellation.sell_wh, cancellation.buy_wh
        return void(trades, where_heard(heard, sell_wh, MAX_ENERGY_WH), where_heard(heard, buy_wh, MAX_ENERGY_WH))

    def memory(self) -> dict[str, Any]:
        """Return what the mechanism keeps between intervals: nothing, books are cleared within one."""
        return {}

    def restore(self, memory: dict[str, Any]) -> None:
        """Take up what `memory` returned."""


def _clearing_faults(result: Any, orders: Orders) -> list[str]:
    """Say what is wrong with a mechanism's answer: its form, fills beyond orders, trades unlike fills."""
    if not isinstance(result, Clearing) or not isinstance(result.trades, Trades):
        return [f"clear returned a {type(result).__name__}; a Clearing with Trades is needed"]
    return _form_faults(result, orders) or _value_faults(result, orders)


def _form_faults(result: Clearing, orders: Orders) -> list[str]:
    trades = result.trades
    whole = {"seller": trades.seller, "buyer": trades.buyer, "energy_wh": trades.energy_wh}
    for name, column in {**whole, "filled_wh": result.filled_wh}.items():
        if not isinstance(column, np.ndarray) or column.dtype != np.int64 or column.ndim != 1:
            return [f"{name} is no column of int64"]
    names = ("price_eur_per_kwh", "spread_eur_per_kwh", "loss_eur_per_kwh")
    prices = {name: getattr(trades, name) for name in names}
    for name, column in prices.items():
        if not isinstance(column, np.ndarray) or column.dtype.kind != "f" or not np.isfinite(column).all():
            return [f"{name} is no column of finite numbers"]
    if len({column.shape for column in (*whole.values(), *prices.values())}) > 1:
        return ["columns of trades differ in length"]
    if len(result.filled_wh) != len(orders):
        return [f"{len(result.filled_wh)} fills for {len(orders)} orders"]
    public = result.price_eur_per_kwh
    if public is not None and not (isinstance(public, float) and np.isfinite(public)):
        return [f"the public price is {public!r}; a finite float or None is needed"]
    told = all(isinstance(remark, tuple) and len(remark) == 2 for remark in result.remarks)
    return [] if told else ["clear returned remarks that are not (cause, sentence)"]


def _value_faults(result: Clearing, orders: Orders) -> list[str]:
    trades, filled_wh = result.trades, result.filled_wh
    if ((filled_wh < 0) | (filled_wh > orders.energy_wh)).any() or (trades.energy_wh < 0).any():
        return ["an order is filled beyond its energy, or below nothing"]
    traders = np.concatenate([trades.seller, trades.buyer])
    if not np.isin(traders, orders.owner).all():
        return ["somebody trades who is not in the book"]
    count = int(orders.owner.max(initial=-1)) + 1
    selling = orders.side == SELL
    for told_wh, traded_wh in (
        (np.where(selling, filled_wh, 0), trades.sold_wh(count)),
        (np.where(selling, 0, filled_wh), trades.bought_wh(count)),
    ):
        if not np.array_equal(np.bincount(orders.owner, weights=told_wh, minlength=count), traded_wh):
            return ["fills and trades differ"]
    return []
