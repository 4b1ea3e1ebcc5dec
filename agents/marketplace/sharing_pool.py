"""A pool that finds the price at which what a community trades inside and with its supplier adds up."""

import numpy as np

from cosim.messages import PoolBid, PoolOffer
from cosim.models.optimisation.sharing import Sharing


class SharingPool:
    """Goes on from where it stood when it is opened again."""

    def __init__(self, sharing: Sharing, power_kw: float, price_eur_per_kwh: float) -> None:
        self.sharing = sharing
        self.rounds = 0
        self._tolerance = power_kw, price_eur_per_kwh
        self._interval, self._round = 0, 0

    def open_pool(self, index: int, number: int) -> PoolOffer:
        """Make the first offer of a round of the coordination."""
        self._interval, self._round = index, number
        return self.offer_pool()

    def hear_pool(self, bid: PoolBid) -> bool:
        """Take bids; say whether total and price have come to rest."""
        self.rounds += 1
        self.sharing = self.sharing.heard(bid.trade_kw)
        return self.sharing.settled(*self._tolerance)

    def offer_pool(self) -> PoolOffer:
        """Make the next offer."""
        sharing = self.sharing
        everybody = np.ones(len(sharing.part_kw), dtype=bool)
        return PoolOffer(self._interval, self._round, sharing.target_kw, sharing.price_eur_per_kwh, everybody)
