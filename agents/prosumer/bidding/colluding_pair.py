"""Colluding pair: two who never compete with each other, because both quote the price that they have agreed on.

A ring of the simplest kind: an agreed price, no side payments, and nobody learns or punishes. (What agreements need in
order to last, and this one lacks: Stigler (1964), "A theory of oligopoly", Journal of Political Economy 72(1), 44-61,
doi 10.1086/258853.) In rules:

* Of the ids that follow this strategy at the time, sorted, the first and second are a pair, the third and fourth, and
  so on. That is all there is to the agreement, so nothing has to be remembered or said; who is left over is truthful.
* The agreed price lies three quarters of the way to the better end of the supplier's band: high for sales, low for
  purchases. Where a reservation price is better still, that is quoted: nobody trades at a loss to keep a promise.
* Energies are honest: the natural net energy.

Where all sellers and all buyers collude like this nobody trades, because neither side gives in.

Two partners are told which pair they are by naming both: `[people.strategies]` with this strategy for two ids.
"""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from cosim.agents.prosumer.bidding.mark_up import Offer
from cosim.agents.prosumer.bidding.strategy import CohortChance, CohortStrategy, Memory
from cosim.models.market.order import Orders
from cosim.views import ProsumersView

AGREED = 0.75


class ColludingPair(CohortStrategy):
    """Two by two, in the order of ids, quote one agreed price well inside the band instead of competing."""

    name: ClassVar[str] = "colluding_pair"

    def bid(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Orders:  # noqa: ARG002
        offer = Offer.of(view)
        room = np.where(offer.teaches, 1.0 - offer.worth, 1.0)
        margin = np.where(offer.teaches, np.maximum(AGREED - offer.worth, 0.0) / room, 0.0)
        paired = partners(view.ids)[offer.orders.owner] >= 0
        honest, quoted = offer.orders.limit_eur_per_kwh, offer.marked_up(margin)
        return replace(quoted, limit_eur_per_kwh=np.where(paired, quoted.limit_eur_per_kwh, honest))


def partners(ids: tuple[str, ...]) -> np.ndarray:
    """Return the row of each one's partner (n,), -1 for who is left over.

    >>> partners(("c", "a", "b", "d", "e")).tolist()
    [3, 2, 1, 0, -1]
    """
    order = np.array(sorted(range(len(ids)), key=lambda row: ids[row]), np.int64)
    paired = order[: len(ids) // 2 * 2].reshape(-1, 2)
    found = np.full(len(ids), -1, np.int64)
    found[paired] = paired[:, ::-1]
    return found
