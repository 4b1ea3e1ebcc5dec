"""The contract of a strategy, for ONE prosumer (plain values, ten lines) or for a COHORT (columns).

In each interval a strategy is asked three times and told once:

    request   the band of power it would like from the operator (optional)
    bid       orders for the market, inside the envelope it was granted
    dispatch  set-points of its devices, given what was filled
    learn     the outcome of its own interval

It sees values and returns values. Chance comes only from what it is handed. What it wants to remember it
keeps in plain data: attributes of `self` in the one-prosumer form (the kernel saves and restores them), the
`memory` dict in the cohort form.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cosim.agents.prosumer.bidding import rules
from cosim.models.devices.columns import SetPoints
from cosim.models.envelope import Envelope, Envelopes
from cosim.models.market.order import Order, Orders
from cosim.views import Outcome, ProsumerOutcome, ProsumersView, ProsumerView

Memory = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CohortChance:
    """A cohort's chance in one interval: `uniforms(k)` gives (n, k), row i what i alone would draw."""

    uniforms: Callable[[int], np.ndarray]


class CohortStrategy(ABC):
    """Decides for many prosumers at once; every column has a row a prosumer, in the order of `view.ids`."""

    name: ClassVar[str]

    def start(self, ids: tuple[str, ...]) -> Memory:  # noqa: ARG002, part of the contract
        """Return the memory to begin with: a flat dict of arrays, numbers and strings.

        Where members change during a run, an array moves with them along the axis that has no length for no ids;
        everything else is common to all, and newcomers find it as it is.
        """
        return {}

    def request(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Envelopes:  # noqa: ARG002
        """Return the bands wanted (n,); the default is all that the devices could do."""
        return Envelopes(view.power_range.lower_kw, view.power_range.upper_kw)

    @abstractmethod
    def bid(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Orders:
        """Return orders; `owner` is the row in the view."""

    def dispatch(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> SetPoints:  # noqa: ARG002
        """Return set-points (n,) given `view.position_kw`; by default batteries take what was not traded."""
        return rules.battery_takes_the_rest(view)

    def learn(self, outcome: Outcome, memory: Memory) -> None:  # noqa: B027, optional to override
        """Take note of the settled interval."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Set-points of one prosumer in kW, by the law of signs; the defaults decide nothing.

    Battery: positive discharges. Shiftable demand, cars and heat pump: negative or zero, and minus infinity
    is "as much as there is"; cars that give back do so above zero; None for the heat pump follows its profile.
    Generation: the cap on what is fed in. Elastic demand: the share of it that is wanted; None is what is worth the
    supplier's prices.
    """

    battery_kw: float = 0.0
    shiftable_kw: float = -np.inf
    ev_kw: float = -np.inf
    heat_pump_kw: float | None = None
    generation_kw: float = np.inf
    elastic_share: float | None = None


class BiddingStrategy:
    """Decides for one prosumer; subclass it, override what you need, keep memory in attributes of `self`.

    >>> class Cautious(BiddingStrategy):
    ...     def bid(self, view, chance):
    ...         spare = 0.5 * view.natural_net_kwh
    ...         return [Order("sell", spare, view.sell_eur_per_kwh[0])] if spare > 0 else []
    """

    def request(self, view: ProsumerView, chance: np.random.Generator) -> Envelope:  # noqa: ARG002
        """Return the band wanted; the default is all that the devices could do."""
        return Envelope(view.lower_kw, view.upper_kw)

    def bid(self, view: ProsumerView, chance: np.random.Generator) -> list[Order]:  # noqa: ARG002
        """Return orders; the default trades nothing."""
        return []

    def dispatch(self, view: ProsumerView, chance: np.random.Generator) -> Decision:  # noqa: ARG002
        """Return set-points given `view.position_kw`; by default the battery takes what was not traded."""
        rest = view.natural_net_kw - view.position_kw
        return Decision(battery_kw=min(max(-rest, -view.battery_kw), view.battery_kw))

    def learn(self, outcome: ProsumerOutcome) -> None:
        """Take note of the settled interval."""
