"""The pool's desk in a negotiation: finds the trades that add up to nothing, and their price."""

from dataclasses import replace

import numpy as np

from cosim.messages import PoolBid, PoolOffer, PoolProgress, RoomProgress
from cosim.models.market.mechanism import MarketContext, Trades
from cosim.models.market.order import WH_PER_KWH
from cosim.models.market.pairing import pair, pro_rata
from cosim.models.optimisation.consensus import Pool
from cosim.models.optimisation.consensus_rounds import Moderation
from cosim.negotiation import Terms

INNER_SHARE = 0.1
"""How much nearer to balance than the sides are to agreement a nested pool comes."""


class PoolDesk:
    """Hears what everybody would sell and says what would balance: knows quantities, no prosumer's reasons."""

    def __init__(self, index: int, count: int, price_eur_per_kwh: np.ndarray, terms: Terms) -> None:
        self._index = index
        begun = Pool.begin(count, len(price_eur_per_kwh))
        self._pool = replace(begun, dual_kw=-price_eur_per_kwh / terms.penalty_eur_per_kw2h)
        self._terms = terms
        self._moderation = Moderation.begin(terms.rule, terms.tolerance, terms.penalty_eur_per_kw2h)
        self._round = 0
        self._progress: PoolProgress | None = None

    @property
    def pool(self) -> Pool:
        """Where the pool stands."""
        return self._pool

    @property
    def price_eur_per_kwh(self) -> np.ndarray:
        """What a seller receives and a buyer pays (H,)."""
        return self._pool.price(self._moderation.penalty_eur_per_kw2h)

    def hear(self, bid: PoolBid) -> PoolProgress:
        """Take the bids of a round, clear, and say how far from balance they were."""
        before = self._pool
        self._pool = before.heard(bid.trade_kw, bid.arrived).cleared(bid.arrived)
        part = self._pool.part(before, self._moderation.penalty_eur_per_kw2h)
        self._progress = PoolProgress(self._index, bid.round, part.norms())
        return self._progress

    def in_balance(self, bid: PoolBid) -> bool:
        """Take the bids of a nested round; say whether they balance well enough for the operator to be asked."""
        self.hear(bid)
        latest, tolerance = self._moderation.latest, self._terms.tolerance
        outer_kw = 0.0 if latest is None else INNER_SHARE * max(latest.worst_kw)
        return float(np.abs(self._pool.response_kw.sum(axis=0)).max(initial=0.0)) <= max(tolerance.worst_kw, outer_kw)

    def offer(self, progress: RoomProgress | None) -> PoolOffer:
        """Say what would balance, given how far the operator's side is (None within nested rounds)."""
        if progress is not None and self._progress is not None:
            self._moderation = self._moderation.after([progress.norms, self._progress.norms])
            self._pool = self._pool.rescaled(self._moderation.factor)
        self._round += 1
        return self._letter()

    def opening(self) -> PoolOffer:
        """Begin with nobody trading."""
        return self._letter()

    def clearing(self, context: MarketContext) -> tuple[Trades, float]:
        """Return the trades of the first step and their price.

        Nobody trades more than it last said; what one side says beyond the other is left out pro rata. The price stays
        inside the band in which trading beats the supplier.
        """
        said_wh = context.interval.energy_kwh(self._pool.response_kw[:, 0]) * WH_PER_KWH
        sold, bought = (np.floor(np.maximum(side, 0.0)).astype(np.int64) for side in (said_wh, -said_wh))
        volume_wh = min(int(sold.sum()), int(bought.sum()))
        sold, bought = _rationed(sold, volume_wh), _rationed(bought, volume_wh)
        price = float(np.clip(self.price_eur_per_kwh[0], context.floor_eur_per_kwh, context.ceiling_eur_per_kwh))
        seller, buyer, energy_wh = pair(sold, bought)
        return Trades(seller, buyer, energy_wh, np.full(len(energy_wh), price)), price

    def _letter(self) -> PoolOffer:
        everybody = np.ones(len(self._pool.target_kw), dtype=bool)
        return PoolOffer(self._index, self._round, self._pool.target_kw, self.price_eur_per_kwh, everybody)


def _rationed(claims_wh: np.ndarray, volume_wh: int) -> np.ndarray:
    """Share a volume pro rata among claims (n,), of which some are zero."""
    shares, rows = np.zeros_like(claims_wh), np.flatnonzero(claims_wh)
    if len(rows):
        shares[rows] = pro_rata(claims_wh[rows], volume_wh, rows)
    return shares
