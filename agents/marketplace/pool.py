"""The pool's desk in a negotiation: finds the trades that add up to nothing, and their price."""

import numpy as np

from cosim.messages import PoolBid, PoolOffer, PoolProgress, RoomProgress
from cosim.models.optimisation.consensus import Pool
from cosim.models.optimisation.consensus_rounds import Moderation
from cosim.negotiation import Terms

INNER_SHARE = 0.1
"""How much nearer to balance than the sides are to agreement a nested pool comes."""


class PoolDesk:
    """Hears what everybody would sell and says what would balance: knows quantities, no prosumer's reasons."""

    def __init__(self, index: int, shape: tuple[int, int], terms: Terms) -> None:
        self._index = index
        self._pool = Pool.begin(*shape)
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

    def _letter(self) -> PoolOffer:
        everybody = np.ones(len(self._pool.target_kw), dtype=bool)
        return PoolOffer(self._index, self._round, self._pool.target_kw, self.price_eur_per_kwh, everybody)
