"""Populations of bidding strategies in a village, by the ordinary sweep: what is played, and what each prosumer saves.

All strategies differ in what they quote and offer, and in nothing else: devices are run alike, by what was not traded.
Forecasts are perfect and nobody minds the grid's limits, so that neither hides what a quote earns: what forecasts miss
costs everybody, and envelopes void trades.

    truthful              states what energy is worth to it: the honest
    zero_intelligence     a random quote that loses no money: the yardstick of what the market itself does
    adaptive              Cliff's ZIP, learns a margin from the public price
    gjerstad_dickhaut     learns which quotes are accepted
    roth_erev             learns by what its own quotes earned
    capacity_withholder   offers half its surplus while prices are low
    free_rider            serves itself, and takes what others leave
    colluding_pair        two by two, an agreed price instead of competition

Left out are strategies that plan devices (predictive, price_responsive, self_consumption), which would compare other
things than bidding; herd_follower, which needs others to follow, and q_learning, which in some days explores only.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cosim.experiments.studies.runs import Runs

if TYPE_CHECKING:
    from cosim.experiments.run import Run

SCENARIO: Final = "village-v1"
STRATEGIES: Final = (
    "truthful",
    "zero_intelligence",
    "adaptive",
    "gjerstad_dickhaut",
    "roth_erev",
    "capacity_withholder",
    "free_rider",
    "colluding_pair",
)
# Of those that learn, one: pairs grow with the square.
UNLIKE: Final = tuple(name for name in STRATEGIES if name not in {"gjerstad_dickhaut", "roth_erev"})
FEW: Final = ("truthful", "zero_intelligence", "adaptive")
SETTINGS: Final[Mapping[str, Any]] = {
    "time.interval_s": 3600,
    "forecast.kind": "perfect",
    "switches.envelopes": False,
    "people.imitation.reviewing": 0.0,
}


def of_the_village(
    vary: Mapping[str, Sequence[Any]], seeds: tuple[int, ...], days: int, settings: Mapping[str, Any] | None = None
) -> Runs:
    """Return runs of the village in which only bidding matters."""
    return Runs(SCENARIO, vary, seeds, days, {**SETTINGS, **(settings or {})})


def equal_shares(strategies: Sequence[str]) -> dict[str, float]:
    """Return a population in which all strategies have as many followers."""
    return dict.fromkeys(strategies, 1.0 / len(strategies))


def saved_eur_per_kwh(run: "Run", first_day: int = 0) -> np.ndarray:
    """Return what each prosumer saved from a day on, for each kWh that its passive twin exchanges (n,)."""
    table, per_day = run.table("prosumers"), 86_400 // run.manifest["scenario"]["time"]["interval_s"]
    table = table[table["interval"] >= first_day * per_day]
    sums = table.groupby("prosumer")[["saved_eur", "exchanged_kwh"]].sum()
    saved: np.ndarray = (sums["saved_eur"] / sums["exchanged_kwh"]).to_numpy()
    return saved
