"""Adaptive: zero-intelligence plus (ZIP), a profit margin that learns from the public price and from own fills.

Cliff (1997), "Minimal-intelligence agents for bargaining behaviors in market-based environments", HP Laboratories
report HPL-97-91; the ranges of its parameters are those in the author's later Bristol Stock Exchange. A trader quotes
p = l (1 + m), with l its reservation price and m its margin, and after each quote q that anybody in the market calls
out it moves its own towards a target near q (Widrow-Hoff with momentum):

    target     t  = R q + A        R in [1, 1.05], A in [0, 0.05] to raise an ask, mirrored to lower it
    error      d  = b (t - p)      learning rate b in [0.1, 0.5]
    momentum   g' = c g + (1 - c) d, from 0; inertia c in [0, 0.1]
    margin     m' = (p + g') / l - 1, from m in [0.05, 0.35]

R and A are drawn for each step, b, c and the first m for each trader, all uniformly. A seller raises its margin when a
quote was accepted at a price at or above its own, and lowers it, while it still has something to sell, when a quote at
or below its own was accepted or a competitor's offer was refused. Buyers do the same in the mirror.

What is changed, because here a book is sealed, cleared once an interval at one price, and filled with local energy:

* There are no quotes to listen to, only the public price q and the own fill, and no second try within the interval.
  Cliff's trader, once accepted, reaches beyond q, is refused, and comes down again the same day. With one call that is
  every other interval without a trade: it found the price here too, but lost half the gains. So who was filled entirely
  aims just inside q, the best price that would still have been accepted, and raises its margin where it was below
  that. Who was not, even in part, still has something to sell and aims just inside min(q, p), so the side that is too
  long moves the price. Without a trade there is no q, and it aims inside its own p. All in all t = (1 - r) near - a
  with r and a in [0, 0.05].
* Prices are counted as the share x of the way from the trader's worse to its better end of the market's band: from the
  feed-in price up to the supplier's energy price for a seller, down for a buyer. Both sides then learn by one rule, a
  margin survives the steps of a tariff, and prices of zero or below do no harm. r and a act on x: 5 % of the band.
* For the same reason the margin is the share of the way from the reservation price l to the band's edge,
  p = l + m (1 - l), kept in [0, 1]: nobody quotes at a loss or beyond what the supplier offers. Where l is beyond the
  edge, or the band is empty, l itself is quoted and nothing learnt.
* A prosumer that sells at noon and buys at night has a margin and a momentum for each side.
* The gate closes before earlier intervals are settled. What is learnt of an interval moves the margin of today: p is
  the quote that today's margin would have made then. r and a are drawn with the order.
* An order that the operator voids counts as not filled.
"""

from dataclasses import replace

import numpy as np

from cosim.agents.prosumer.bidding.strategy import CohortChance, CohortStrategy, Memory
from cosim.agents.prosumer.bidding.truthful import honest_orders
from cosim.agents.prosumer.bidding.zero_intelligence import edge
from cosim.models.market.order import SELL, Orders
from cosim.views import Outcome, ProsumersView

RATE, INERTIA, FIRST_MARGIN = (0.1, 0.5), (0.0, 0.1), (0.05, 0.35)
RELATIVE, ABSOLUTE = 0.05, 0.05
# Orders whose interval is not settled yet: more than any gate leads.
SLOTS = 16
# Rows of `margin` and `momentum`.
SELLING, BUYING = 0, 1


class Adaptive(CohortStrategy):
    """One order a prosumer: its natural net energy at its reservation price and a learnt margin.

    Memory, with n prosumers: `begun` (n,), whether the traits are drawn; `rate`, `inertia` (n,); `margin`, `momentum`
    (2, n), selling and buying; and of the orders not settled yet, by interval modulo `SLOTS`: `ordered_wh` (SLOTS, n),
    sold positive, `worth` (SLOTS, n), the share x of the reservation price, and `relative`, `absolute` (SLOTS, n),
    which are r and a.
    """

    name = "adaptive"

    def start(self, ids: tuple[str, ...]) -> Memory:
        count = len(ids)
        slots = {name: np.zeros((SLOTS, count)) for name in ("worth", "relative", "absolute")}
        return {
            "begun": np.zeros(count, dtype=bool),
            "rate": np.zeros(count),
            "inertia": np.zeros(count),
            "margin": np.zeros((2, count)),
            "momentum": np.zeros((2, count)),
            "ordered_wh": np.zeros((SLOTS, count), np.int64),
            **slots,
        }

    def bid(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Orders:
        draws = chance.uniforms(6).T
        if not memory["begun"].all():
            memory |= _traits(draws[2:], memory)
        orders = honest_orders(view)
        worth = orders.limit_eur_per_kwh
        side = np.where(orders.side == SELL, SELLING, BUYING)
        margin = memory["margin"][side, orders.owner]
        _note(memory, view, orders, draws)
        return replace(orders, limit_eur_per_kwh=worth + margin * (edge(view, orders) - worth))

    def learn(self, outcome: Outcome, memory: Memory) -> None:
        slot = outcome.interval.index % SLOTS
        ordered, worth = memory["ordered_wh"][slot], memory["worth"][slot]
        rows = np.flatnonzero((ordered != 0) & (worth < 1.0))
        side = np.where(ordered[rows] > 0, SELLING, BUYING)
        low = worth[rows]
        quote = low + memory["margin"][side, rows] * (1.0 - low)
        seen = quote
        if outcome.price_share is not None:
            seen = np.where(side == SELLING, outcome.price_share, 1.0 - outcome.price_share)
        filled = outcome.position_wh[rows] * np.sign(ordered[rows]) >= np.abs(ordered[rows])
        relative, absolute = memory["relative"][slot, rows], memory["absolute"][slot, rows]
        near = np.where(filled, seen, np.minimum(seen, quote))
        target = (1.0 - relative) * near - absolute
        error = memory["rate"][rows] * (target - quote)
        inertia, momentum, margin = memory["inertia"][rows], memory["momentum"].copy(), memory["margin"].copy()
        momentum[side, rows] = inertia * momentum[side, rows] + (1.0 - inertia) * error
        margin[side, rows] = np.clip((quote + momentum[side, rows] - low) / (1.0 - low), 0.0, 1.0)
        memory |= {"momentum": momentum, "margin": margin}
        _settle(memory, slot)


def _traits(draws: np.ndarray, memory: Memory) -> Memory:
    """Return what each trader is born with, from four uniform draws (4, n), but for those who are born already."""
    rate, inertia, first_sale, first_purchase = draws
    born = {
        "rate": _within(RATE, rate),
        "inertia": _within(INERTIA, inertia),
        "margin": _within(FIRST_MARGIN, np.stack([first_sale, first_purchase])),
    }
    kept = {name: np.where(memory["begun"], memory[name], traits) for name, traits in born.items()}
    return {"begun": np.ones_like(memory["begun"]), **kept}


def _within(bounds: tuple[float, float], uniform: np.ndarray) -> np.ndarray:
    return bounds[0] + uniform * (bounds[1] - bounds[0])


def _note(memory: Memory, view: ProsumersView, orders: Orders, draws: np.ndarray) -> None:
    """Remember an interval's orders until it is settled; those in an empty band teach nothing and are left out."""
    floor, ceiling = view.prices.sell_eur_per_kwh[0], view.prices.energy_eur_per_kwh[0]
    slot, room = view.interval.index % SLOTS, ceiling - floor
    kept = {name: memory[name].copy() for name in ("ordered_wh", "worth", "relative", "absolute")}
    for column in kept.values():
        column[slot] = 0
    if room > 0:
        selling, limit = orders.side == SELL, orders.limit_eur_per_kwh
        kept["ordered_wh"][slot, orders.owner] = orders.side * orders.energy_wh
        kept["worth"][slot, orders.owner] = np.where(selling, limit - floor, ceiling - limit) / room
        kept["relative"][slot], kept["absolute"][slot] = RELATIVE * draws[0], ABSOLUTE * draws[1]
    memory |= kept


def _settle(memory: Memory, slot: int) -> None:
    ordered = memory["ordered_wh"].copy()
    ordered[slot] = 0
    memory["ordered_wh"] = ordered
