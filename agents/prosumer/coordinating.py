"""Prosumers that answer prices of a pool and of the network with plans for a day."""

import numpy as np

from cosim.messages import CostsOfSteps, DayNomination, NetworkPrice, PoolBid, PoolOffer, StepTaken
from cosim.models.optimisation.flexible_day import DayPlan, FlexibleDay


class DayProsumers:
    """n prosumers: what they do now, and what they would rather do at the latest prices."""

    def __init__(self, day: FlexibleDay, reactive_kvar: np.ndarray, weight_eur_per_kw2h: float) -> None:
        self.day = day
        self.plan = day.resting
        self.wished = day.resting
        self.network_eur_per_kwh = np.zeros(day.shape)
        self.pool_eur_per_kwh = np.zeros(day.shape[1])
        self._reactive_kvar = reactive_kvar
        self._weight = weight_eur_per_kw2h

    def hear_price(self, letter: NetworkPrice) -> None:
        """Take the network's prices."""
        self.network_eur_per_kwh = letter.eur_per_kwh

    def bid(self, offer: PoolOffer) -> PoolBid:
        """Plan for an offer of the pool."""
        self.wished = self.day.respond(-self.network_eur_per_kwh, offer.trade_kw, self._weight)
        return PoolBid(offer.interval, offer.round, self.wished.net_kw, offer.arrived)

    def hear_final(self, offer: PoolOffer) -> None:
        """Take the pool's price."""
        self.pool_eur_per_kwh = offer.price_eur_per_kwh

    def nomination(self, index: int) -> DayNomination:
        """Say what net powers would come of it."""
        return DayNomination(index, self.wished.net_kw, self._reactive_kvar)

    def costs(self, index: int, number: int, shares: tuple[float, ...]) -> CostsOfSteps:
        """Say what all bear together at steps towards it."""
        steps = [self.plan.towards(self.wished, share) for share in shares]
        return CostsOfSteps(index, number, np.array([float(step.cost_eur.sum()) for step in steps]))

    def take(self, step: StepTaken) -> None:
        """Go as far as all go."""
        self.plan = self.plan.towards(self.wished, step.share)

    def gains(self, network_eur_per_kwh: np.ndarray) -> np.ndarray:
        """Return what each would gain by a plan of its own at the pool's price and prices of the network (n,).

        As shares of what the plan costs it, or earns it, with everything.
        """
        price = self.pool_eur_per_kwh - network_eur_per_kwh
        best = self.day.respond(price)
        return np.asarray((_burden(self.plan, price) - _burden(best, price)) / np.abs(_burden(best, price)))


def _burden(plan: DayPlan, price: np.ndarray) -> np.ndarray:
    """Return what a plan costs each at prices of net power (n,)."""
    return np.asarray(plan.cost_eur - (price * plan.net_kw) @ plan.day.hours)
