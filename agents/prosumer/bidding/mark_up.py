"""Mark-ups over the reservation price, and orders that wait for their outcome: what learning strategies share.

Prices are counted as the share x of the way from a trader's worse to its better end of the supplier's band: for a
seller from the feed-in price up to the energy price, for a buyer down. So buyers and sellers learn by one rule, and
what was learnt survives the steps of a tariff. A mark-up m is the share of the way from the reservation price l to the
better end,

    p = l + m (edge - l)        m in [0, 1],

so nobody quotes at a loss or beyond what the supplier offers. Where l is beyond the edge, or the band is empty, l
itself is quoted and nothing is learnt.

The gate closes before earlier intervals are settled: what an order was is kept until its outcome is told.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from cosim.agents.prosumer.bidding.strategy import CohortChance, CohortStrategy, Memory
from cosim.agents.prosumer.bidding.truthful import honest_orders
from cosim.agents.prosumer.bidding.zero_intelligence import edge
from cosim.models.market.order import SELL, Orders
from cosim.views import Outcome, ProsumersView

# Orders whose interval is not settled yet: more than any gate leads.
SLOTS = 16
SELLING, BUYING = 0, 1


@dataclass(frozen=True, slots=True)
class Offer:
    """Honest orders (m,) and how far each can go.

    Attributes:
        orders: natural net energies at reservation prices.
        side: `SELLING` or `BUYING`.
        worth: the reservation price as a share of the band, from the order's own side.
        edge_eur_per_kwh: the price of the mark-up 1.
        teaches: whether there is room for a mark-up.
    """

    orders: Orders
    side: np.ndarray
    worth: np.ndarray
    edge_eur_per_kwh: np.ndarray
    teaches: np.ndarray

    @classmethod
    def of(cls, view: ProsumersView) -> "Offer":
        """Return what the prosumers of a view would order honestly."""
        orders = honest_orders(view)
        side = np.where(orders.side == SELL, SELLING, BUYING)
        floor, ceiling = view.prices.sell_eur_per_kwh[0], view.prices.energy_eur_per_kwh[0]
        limit, room = orders.limit_eur_per_kwh, ceiling - floor
        if room <= 0:
            return cls(orders, side, np.ones(len(orders)), edge(view, orders), np.zeros(len(orders), dtype=bool))
        worth = np.where(side == SELLING, limit - floor, ceiling - limit) / room
        return cls(orders, side, worth, edge(view, orders), worth < 1.0)

    def marked_up(self, margin: np.ndarray) -> Orders:
        """Return the orders with mark-ups (m,)."""
        worth = self.orders.limit_eur_per_kwh
        return replace(self.orders, limit_eur_per_kwh=worth + margin * (self.edge_eur_per_kwh - worth))


@dataclass(frozen=True, slots=True)
class Settled:
    """Orders (m,) of one interval whose outcome is known.

    Attributes:
        rows: whose they were.
        side: `SELLING` or `BUYING`.
        worth: reservation prices as shares of the band.
        filled: how much of each was filled, of 1.
        price: the public price as a share of the band from the order's own side; NaN where there was none.
        noted: what the strategy kept with them, by name.
    """

    rows: np.ndarray
    side: np.ndarray
    worth: np.ndarray
    filled: np.ndarray
    price: np.ndarray
    noted: dict[str, np.ndarray]

    @property
    def gain(self) -> np.ndarray:
        """What was gained, as a share of selling (buying) all at the band's edge: filled (q - l) / (1 - l), or 0."""
        above = np.where(np.isnan(self.price), 0.0, self.price - self.worth)
        share: np.ndarray = self.filled * np.maximum(above, 0.0) / (1.0 - self.worth)
        return share


class MarkUpStrategy(CohortStrategy):
    """Quotes the natural net energy at the reservation price and a mark-up, and hears what came of it.

    Memory, with n prosumers: of the orders not settled yet, by interval modulo `SLOTS`, `ordered_wh` (SLOTS, n), sold
    positive, `worth` (SLOTS, n), and a column (SLOTS, n) for each name in `noted`.
    """

    draws: ClassVar[int] = 0
    noted: ClassVar[tuple[str, ...]] = ()

    def start(self, ids: tuple[str, ...]) -> Memory:
        columns = {name: np.zeros((SLOTS, len(ids))) for name in ("worth", *self.noted)}
        return {"ordered_wh": np.zeros((SLOTS, len(ids)), np.int64), **columns}

    def bid(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Orders:
        offer = Offer.of(view)
        draws = chance.uniforms(self.draws)[offer.orders.owner] if self.draws else np.empty((len(offer.orders), 0))
        margin, noted = self.margins(offer, view, memory, draws)
        _note(memory, view.interval.index % SLOTS, offer, noted)
        return offer.marked_up(margin)

    def learn(self, outcome: Outcome, memory: Memory) -> None:
        self.hear(_settled(memory, outcome, self.noted), outcome, memory)

    @abstractmethod
    def margins(
        self, offer: Offer, view: ProsumersView, memory: Memory, draws: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return mark-ups (m,) and columns (m,) to keep with the orders; `draws` (m, `draws`) are uniform."""

    @abstractmethod
    def hear(self, settled: Settled, outcome: Outcome, memory: Memory) -> None:
        """Take note of what came of orders; also called, with none, for an interval without orders."""


def _note(memory: Memory, slot: int, offer: Offer, noted: dict[str, np.ndarray]) -> None:
    kept = {name: memory[name].copy() for name in ("ordered_wh", "worth", *noted)}
    for column in kept.values():
        column[slot] = 0
    rows, orders = offer.orders.owner, offer.orders
    kept["ordered_wh"][slot, rows] = np.where(offer.teaches, orders.side * orders.energy_wh, 0)
    kept["worth"][slot, rows] = offer.worth
    for name, column in noted.items():
        kept[name][slot, rows] = column
    memory |= kept


def _settled(memory: Memory, outcome: Outcome, names: tuple[str, ...]) -> Settled:
    """Return the orders of an interval with their outcome, and forget them."""
    slot = outcome.interval.index % SLOTS
    rows = np.flatnonzero(memory["ordered_wh"][slot])
    ordered = memory["ordered_wh"][slot, rows]
    side = np.where(ordered > 0, SELLING, BUYING)
    filled = np.clip(outcome.position_wh[rows] * np.sign(ordered) / np.abs(ordered), 0.0, 1.0)
    share = np.nan if outcome.price_share is None else outcome.price_share
    price = np.where(side == SELLING, share, 1.0 - share)
    settled = Settled(
        rows, side, memory["worth"][slot, rows], filled, price, {name: memory[name][slot, rows] for name in names}
    )
    memory["ordered_wh"] = memory["ordered_wh"].copy()
    memory["ordered_wh"][slot] = 0
    return settled


def seen_share(view: ProsumersView) -> float | None:
    """Return where the last public price lies in today's band, from feed-in (0) to energy price (1), if it is known."""
    floor, ceiling = float(view.prices.sell_eur_per_kwh[0]), float(view.prices.energy_eur_per_kwh[0])
    if view.last_price_eur_per_kwh is None or ceiling <= floor:
        return None
    return min(1.0, max(0.0, (view.last_price_eur_per_kwh - floor) / (ceiling - floor)))
