"""Cases like the ten-prosumer one with other draws and other numbers of prosumers, on the same feeder.

Prosumers stand at the buses of the case, at five of them, at twenty, at all, or several at a bus. The demand of their
bus is theirs, in equal parts. Beyond ten, ratings shrink so that the feeder has as much sun to carry as with ten.
"""

from dataclasses import dataclass, replace

import numpy as np

from cosim.agents.dso.room_desk import fair_box
from cosim.experiments.studies.ndoe33 import Case
from cosim.models.envelope import Room
from cosim.models.grid.feeder import load_feeder
from cosim.models.ndoe33 import FEEDER, Reference, load
from cosim.models.optimisation.two_stage import TwoStageProblem
from cosim.models.uncertainty.norm_ball import NormBall
from cosim.models.uncertainty.scenarios import SHARES, Scenarios
from cosim.randomness import Chance

FIVE = (13, 17, 24, 31, 32)
SHAPE = np.array(
    [
        *(0.42, 0.38, 0.36, 0.35, 0.36, 0.42, 0.52, 0.60, 0.62, 0.62, 0.63, 0.65),
        *(0.64, 0.62, 0.60, 0.60, 0.64, 0.74, 0.82, 0.85, 0.80, 0.70, 0.58, 0.48),
    ]
)
SUN = np.clip(np.sin((np.arange(24) - 5.5) / 13.0 * np.pi), 0.0, None) ** 1.5
LEVELS = np.array([0.45, 0.75, 1.0, 1.15, 1.25])
"""How sunny the scenarios are, over an ordinary day."""

PHOTOVOLTAIC_KW = (450.0, 1000.0)
BATTERY_KWH = (400.0, 1000.0)
BATTERY_HOURS = 3.0
SOC_START, SOC_LIMITS = 0.5, (0.1, 0.9)
SHIFT_SHARE = 0.15
JITTER = 0.05
DEMAND_JITTER = 0.1
THETA = (0.3, 0.1)


@dataclass(frozen=True)
class _Draw:
    """Who stands where: bus (n,), how many share it (n,), size against that of ten, and everybody's chance."""

    bus: np.ndarray
    sharing: np.ndarray
    size: float
    chance: Chance

    def between(self, purpose: str, low: float, high: float, count: int) -> np.ndarray:
        """Return uniform draws (n, count), for a prosumer the same whoever else takes part."""
        ids = [f"prosumer-{row}" for row in range(len(self.bus))]
        return low + (high - low) * self.chance.uniforms(ids, purpose, 0, count)


def drawn(seed: int, prosumers: int = 10) -> Case:
    """Return a fresh case.

    Args:
        seed: of all its draws.
        prosumers: ten and five stand at buses of the bundled case, more at further buses, several a bus beyond 32.
    """
    like, feeder = load(), load_feeder(FEEDER)
    draw = _draw(seed, prosumers, like.bus, np.arange(1, len(feeder.bus_ids)))
    scenarios = _scenarios(draw)
    problem = _problem(draw, like.problem, scenarios, -feeder.load_kw[draw.bus] / draw.sharing)
    nothing, unknown = np.zeros_like(problem.fixed_kw), np.full_like(problem.fixed_kw, np.nan)
    data = replace(
        like,
        problem=problem,
        scenarios=scenarios,
        bus=draw.bus,
        passive_kw=np.outer(np.where(np.isin(np.arange(len(feeder.bus_ids)), draw.bus), 0.0, feeder.load_kw), SHAPE),
        passive_kvar=np.outer(feeder.load_kvar, SHAPE),
        kappa_eur_per_kw2h=like.kappa_eur_per_kw2h / draw.size,
        fair_lower_kw=nothing,
        fair_upper_kw=nothing,
        reference=_nobody_knows(unknown),
    )
    case = Case(data)
    fair = fair_box(case.office, case.view, case.need)
    inside = replace(problem, lower_kw=fair.lower_kw, upper_kw=fair.upper_kw)
    return Case(replace(data, problem=inside, fair_lower_kw=fair.lower_kw, fair_upper_kw=fair.upper_kw))


def _nobody_knows(unknown: np.ndarray) -> Reference:
    """Return results of nobody: NaN (n, H), for a drawn case comes without any."""
    room, nan = Room(unknown, unknown, unknown), float("nan")
    return Reference(room, unknown, nan, nan, nan, nan, unknown[0])


def _draw(seed: int, prosumers: int, ten: np.ndarray, buses: np.ndarray) -> _Draw:
    """Put prosumers at buses."""
    chance = Chance(seed)
    order = np.concatenate([ten, chance.stream("feeder", "buses", 0).permutation(np.setdiff1d(buses, ten))])
    bus = np.array(FIVE) if prosumers == len(FIVE) else np.resize(order, prosumers)
    return _Draw(bus, np.bincount(bus)[bus], min(1.0, len(ten) / prosumers), chance)


def _scenarios(draw: _Draw) -> Scenarios:
    """Draw what the sun may bring (n, K, H), at most what a module is rated for."""
    rated = draw.size * draw.between("photovoltaic", *PHOTOVOLTAIC_KW, 1)[:, :, None]
    shape = len(draw.bus), len(LEVELS), len(SHAPE)
    spread = draw.between("sun", 1.0 - JITTER, 1.0 + JITTER, shape[1] * shape[2]).reshape(shape)
    values = np.minimum(rated * SUN * LEVELS[:, None] * spread, rated)
    return Scenarios(values, np.tile(SHARES, (len(values), 1)), samples=1)


def _problem(draw: _Draw, like: TwoStageProblem, scenarios: Scenarios, peak_kw: np.ndarray) -> TwoStageProblem:
    """Draw demand and batteries; prices and the rest are those of the first prosumer of another problem."""
    same = like.take(np.zeros(len(draw.bus), dtype=np.int64))
    demand = peak_kw[:, None] * SHAPE * draw.between("demand", 1.0 - DEMAND_JITTER, 1.0 + DEMAND_JITTER, len(SHAPE))
    capacity = draw.size * draw.between("battery", *BATTERY_KWH, 1)[:, 0]
    rating = draw.size * same.connection_kw
    most = np.repeat(rating[:, None], len(SHAPE), axis=1)
    shift, moved = same.flexible[0], SHIFT_SHARE * demand
    return replace(
        same,
        trade_lower_kw=-most,
        trade_upper_kw=most,
        fixed_kw=-demand,
        available_kw=scenarios.values,
        connection_kw=rating,
        battery=replace(
            same.battery,
            soc_kwh=SOC_START * capacity,
            soc_min_kwh=SOC_LIMITS[0] * capacity,
            soc_max_kwh=SOC_LIMITS[1] * capacity,
            power_kw=capacity / BATTERY_HOURS,
        ),
        soc_end_min_kwh=SOC_START * capacity,
        flexible=(replace(shift, lower_kw=-moved, upper_kw=moved),),
        ambiguity=NormBall(*THETA).dual(scenarios),
    )
