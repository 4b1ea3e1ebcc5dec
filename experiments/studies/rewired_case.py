"""Days on which prosumers answer prices in networks that can be switched: 33, 69 and 118 buses, hour by hour.

Every bus draws its load from the network's file times the shape of one of three kinds of customers. The customers with
the largest loads are prosumers: a fifth of their demand can be moved within the day, and they have a photovoltaic plant
of one to two times their peak and a battery. Kinds and sizes are drawn once from the seed; nothing here is measured.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cosim.agents.dso.coordinating import CoordinatingOperator, DayGrid
from cosim.agents.marketplace.sharing_pool import SharingPool
from cosim.agents.prosumer.coordinating import DayProsumers
from cosim.converse import converse
from cosim.coordination import TwoTiers, coordinated
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import Feeder, load_feeder
from cosim.models.grid.reconfiguration.question import Effort, Switching
from cosim.models.grid.reconfiguration.reconfigure import Reconfigurer
from cosim.models.optimisation.flexible_day import FlexibleDay
from cosim.models.optimisation.sharing import Sharing
from cosim.post import Post

NETWORKS = {"ieee33_bw": 10, "ieee69": 12, "dist118_zh": 20}
"""Networks, and how many prosumers there are in them."""

HOURS = 24
LOSS_EUR_PER_KWH = 0.3
OPERATION_EUR = 0.3
SELL_EUR_PER_KWH = 0.04
# Homes, shops and factories: share of the peak by hour, from midnight.
SHAPES = (
    np.array(
        [
            [38, 34, 32, 31, 32, 38, 50, 60, 58, 54, 52, 54, 56, 54, 52, 54, 62, 78, 94, 100, 96, 84, 64, 48],
            [28, 26, 26, 26, 28, 34, 46, 64, 82, 94, 98, 100, 98, 98, 98, 96, 92, 86, 76, 64, 52, 42, 34, 30],
            [62, 60, 58, 58, 60, 66, 78, 90, 98, 100, 100, 98, 94, 96, 98, 98, 94, 86, 78, 74, 70, 68, 66, 64],
        ]
    )
    / 100.0
)
# A clear day of a plant, share of its rating by hour.
SUN = np.array([0, 0, 0, 0, 0, 2, 10, 24, 42, 60, 74, 84, 88, 86, 78, 64, 46, 27, 12, 3, 0, 0, 0, 0]) / 100.0
BUY_EUR_PER_KWH = np.array([0.10] * 7 + [0.16] * 10 + [0.24] * 4 + [0.16] * 2 + [0.10])
PULL_EUR_PER_KW2H = 3e-4
POWER_TOLERANCE_KW, PRICE_TOLERANCE = 0.02, 1e-5


@dataclass(frozen=True, eq=False)
class DayCase:
    """One network's day."""

    feeder: Feeder
    prosumers: int
    kicks: int = 5
    seed: int = 0
    free: np.ndarray | None = None

    @classmethod
    def of(cls, network: str, kicks: int = 5) -> "DayCase":
        """Return the case of one of the networks."""
        return cls(load_feeder(network), NETWORKS[network], kicks)

    @cached_property
    def reconfigurer(self) -> Reconfigurer:
        """The search for switch states."""
        return Reconfigurer(self.feeder)

    @cached_property
    def bus(self) -> np.ndarray:
        """Buses of the prosumers (n,): the customers with the largest loads."""
        return np.sort(np.argsort(self.feeder.load_kw, kind="stable")[: self.prosumers])

    @cached_property
    def load(self) -> tuple[np.ndarray, np.ndarray]:
        """Active and reactive injections of all customers, negative (H, B)."""
        kind = np.random.default_rng([self.seed, 2]).integers(0, len(SHAPES), len(self.feeder.bus_ids))
        shape = SHAPES[kind].T
        return shape * self.feeder.load_kw, shape * self.feeder.load_kvar

    @cached_property
    def day(self) -> FlexibleDay:
        """What the prosumers have."""
        demand = -self.load[0][:, self.bus].T
        peak, count = demand.max(axis=1), self.prosumers
        chance = np.random.default_rng([self.seed, 3])
        plant = peak * chance.uniform(1.0, 2.0, count)
        return FlexibleDay(
            hours=np.ones(HOURS),
            demand_kw=demand,
            least_kw=0.8 * demand,
            most_kw=1.2 * demand,
            discomfort_eur_per_kw2h=chance.uniform(0.3, 0.6, count) / peak,
            generation_kw=plant[:, None] * SUN,
            battery_kw=0.3 * peak,
            battery_kwh=0.6 * peak,
        )

    @cached_property
    def kvar(self) -> np.ndarray:
        """Reactive power of the prosumers' demand (n, H)."""
        return self.load[1][:, self.bus].T

    @cached_property
    def grid(self) -> DayGrid:
        """What the operator knows."""
        passive = [column.copy() for column in self.load]
        for column in passive:
            column[:, self.bus] = 0.0
        return DayGrid(
            flow=BatchFlow(self.feeder),
            bus=self.bus,
            passive_kw=passive[0],
            passive_kvar=passive[1],
            hours=np.ones(HOURS),
            buy_eur_per_kwh=BUY_EUR_PER_KWH,
            sell_eur_per_kwh=np.full(HOURS, SELL_EUR_PER_KWH),
            loss_eur_per_kwh=LOSS_EUR_PER_KWH,
            switching=Switching(OPERATION_EUR, free=self.free),
            effort=Effort(self.kicks),
        )

    def within(self, free: np.ndarray) -> "DayCase":
        """Return the same case with only some branches that may be operated (L,)."""
        return replace(self, free=free)

    def play(self, terms: TwoTiers) -> "Played":
        """Bring market and network together under some terms."""
        operator, day = CoordinatingOperator(self.grid, self.reconfigurer), self.day
        prosumers = DayProsumers(day, self.kvar, PULL_EUR_PER_KW2H)
        begun = Sharing.begin(day.resting.net_kw, BUY_EUR_PER_KWH, np.full(HOURS, SELL_EUR_PER_KWH), PULL_EUR_PER_KW2H)
        pool, post = SharingPool(begun, POWER_TOLERANCE_KW, PRICE_TOLERANCE), Post()
        roles = {"operator": operator, "prosumers": prosumers, "marketplace": pool}
        rounds = converse(coordinated(terms, 0), roles, post)
        return Played(self, operator, prosumers, pool, post, rounds)


@dataclass(frozen=True, eq=False)
class Played:
    """A case brought to its end."""

    case: DayCase
    operator: CoordinatingOperator
    prosumers: DayProsumers
    pool: SharingPool
    post: Post
    rounds: int

    @property
    def merits_eur(self) -> np.ndarray:
        """The merit after every step and rewiring."""
        return np.array([merit.total_eur for merit in self.operator.history])

    @property
    def largest_gain(self) -> float:
        """The most that a prosumer would gain alone at the final prices, as a share of what the day costs it."""
        return float(self.prosumers.gains(self.operator.prices()).max())
