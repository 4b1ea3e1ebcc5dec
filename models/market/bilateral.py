"""Bilateral trading: everybody deals with partners of its own choice, some dearer to it than others."""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism, Trades
from cosim.models.market.merit_order import mean_price
from cosim.models.market.order import SELL, WH_PER_KWH, Orders
from cosim.models.market.partners import Partners
from cosim.models.market.uniform_price import UniformPrice
from cosim.models.optimisation.pairwise import Deals, Pairs, agree


class Bilateral(Mechanism):
    """Trade with partners only, at a price for each pair that both agree on; without partners, in one pool.

    Pairs negotiate by consensus (`optimisation.pairwise`, after Sorin, Bobo, Pinson 2019, doi
    10.1109/TPWRS.2018.2872880): trades maximise the welfare that limits state less what partners cost, up to whole Wh.
    Where nobody minds with whom it trades the pool of the uniform-price auction has the same welfare; it is cleared
    and its energy allocated to pairs. What a negotiation that does not settle has come to trades all the same, within
    all limits, with a remark `bilateral_unsettled`. A scenario declares partners (``[market] partners``), as does a
    class of your own: ``super().__init__(Partners.both_ways(...))``.
    """

    name: ClassVar[str] = "bilateral"
    claims: ClassVar[frozenset[str]] = frozenset({"budget_balanced", "no_deficit", "individually_rational"})

    def __init__(self, partners: Partners | None = None) -> None:
        self._partners = None if partners is None else partners.in_order()

    def clear(self, orders: Orders, context: MarketContext) -> Clearing:
        if self._partners is None:
            return UniformPrice().clear(orders, context)
        rows = np.lexsort((orders.energy_wh, orders.limit_eur_per_kwh, orders.side, orders.owner))
        offers, bids = rows[orders.side[rows] == SELL], rows[orders.side[rows] != SELL]
        pairs = _pairs(orders.take(offers), orders.take(bids), self._partners, context)
        deals = agree(pairs)
        exact_wh = context.interval.energy_kwh(deals.trade_kw) * WH_PER_KWH
        remarks = () if deals.settled else (("bilateral_unsettled", _said(deals)),)
        energy_wh = whole_wh(exact_wh, (pairs.seller, pairs.buyer), (orders.energy_wh[offers], orders.energy_wh[bids]))
        dealt = energy_wh > 0
        if not dealt.any():
            return replace(Clearing.nothing(orders), remarks=remarks)
        energy_wh, offer, bid = energy_wh[dealt], offers[pairs.seller[dealt]], bids[pairs.buyer[dealt]]
        trades = Trades(orders.owner[offer], orders.owner[bid], energy_wh, deals.price_eur_per_kwh[dealt])
        both = np.concatenate([offer, bid])
        filled_wh = np.bincount(both, weights=np.tile(energy_wh, 2), minlength=len(orders)).astype(np.int64)
        return Clearing(trades, mean_price(trades), filled_wh, remarks)


def whole_wh(
    exact_wh: np.ndarray, ends: tuple[np.ndarray, np.ndarray], capacity_wh: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Round trades (e,) to whole Wh, int64: down, and what both ends lost by it goes to their largest trades.

    `ends` number the order at either end of each trade, `capacity_wh` are the energies of those orders.
    """
    energy_wh = np.floor(exact_wh).astype(np.int64)
    left = []
    for end, capacity in zip(ends, capacity_wh, strict=True):
        meant = np.bincount(end, weights=exact_wh, minlength=len(capacity))
        whole = np.bincount(end, weights=energy_wh, minlength=len(capacity))
        left.append((np.minimum(np.ceil(meant), capacity) - whole).astype(np.int64).tolist())
    for trade in np.argsort(-exact_wh, kind="stable")[: np.count_nonzero(energy_wh)].tolist():
        one, other = int(ends[0][trade]), int(ends[1][trade])
        more_wh = min(left[0][one], left[1][other])
        energy_wh[trade] += more_wh
        left[0][one] -= more_wh
        left[1][other] -= more_wh
    return energy_wh


def _said(deals: Deals) -> str:
    count = len(deals.trade_kw)
    return f"{count} pairs do not settle within {deals.rounds} rounds; what both sides have agreed on so far trades"


def _pairs(offers: Orders, bids: Orders, partners: Partners, context: MarketContext) -> Pairs:
    """Join offers and bids, both sorted by owner, along partnerships; keep pairs that both gain from."""
    first_offer, offered = _span(offers.owner, partners.seller)
    first_bid, asked = _span(bids.owner, partners.buyer)
    pair = np.repeat(np.arange(len(partners.seller)), offered * asked)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(offered * asked) - offered * asked, offered * asked)
    offer, bid = first_offer[pair] + within // asked[pair], first_bid[pair] + within % asked[pair]
    ask = offers.limit_eur_per_kwh[offer] + partners.seller_cost_eur_per_kwh[pair]
    worth = bids.limit_eur_per_kwh[bid] - partners.buyer_cost_eur_per_kwh[pair]
    both_gain = worth > ask
    return Pairs(
        offer[both_gain],
        bid[both_gain],
        ask[both_gain],
        worth[both_gain],
        context.interval.power_kw(offers.energy_wh / WH_PER_KWH),
        context.interval.power_kw(bids.energy_wh / WH_PER_KWH),
    )


def _span(owners: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each wanted owner's orders begin in a sorted column, and how many there are."""
    first = np.searchsorted(owners, wanted)
    return first, np.searchsorted(owners, wanted, side="right") - first
