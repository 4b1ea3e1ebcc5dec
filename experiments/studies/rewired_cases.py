"""What a market, prices of the network and switches bring, alone and together: cases B0 to B4."""

from dataclasses import dataclass

import numpy as np

from cosim.coordination import TwoTiers
from cosim.experiments.feeder_map import Moment, feeder_map
from cosim.experiments.studies.pictures import bars, lines
from cosim.experiments.studies.rewired_case import HOURS, NETWORKS, DayCase
from cosim.experiments.studies.rewired_export import export_kw
from cosim.experiments.studies.study import Found, Picture, Row
from cosim.models.grid.state import Limits

SAID = {
    "B0": "nobody answers prices, switches as filed",
    "B1": "a pool, switches as filed",
    "B2": "a pool, then switches once",
    "B3": "a pool that hears prices of losses, switches as filed",
    "B4": "pool and switches in turn",
}


@dataclass(frozen=True, eq=False)
class Ended:
    """Where a case ends: net powers (n, H), switch states (H, L), everything but losses and operations in EUR."""

    case: DayCase
    net_kw: np.ndarray
    closed: np.ndarray
    other_eur: float
    rounds: int

    @property
    def loss_kw(self) -> np.ndarray:
        """Losses by hour (H,)."""
        return self.case.grid.loss_kw(self.net_kw, self.case.kvar, self.closed)

    @property
    def operations(self) -> int:
        """Switch operations from the filed state on."""
        return self.case.grid.operations(self.closed)

    @property
    def total_eur(self) -> float:
        """The merit."""
        grid = self.case.grid
        return (
            self.other_eur
            + grid.loss_eur_per_kwh * float(self.loss_kw.sum())
            + grid.switching.cost_eur * self.operations
        )


def ended(case: DayCase) -> dict[str, Ended]:
    """Bring a network's day to its end in every case."""
    rest, filed = case.day.resting, np.tile(case.feeder.closed, (HOURS, 1))
    found = {"B0": Ended(case, rest.net_kw, filed, float(case.grid.exchange_eur(rest.net_kw)), 0)}
    terms = {"B1": TwoTiers(0), "B3": TwoTiers(rewires=False), "B4": TwoTiers()}
    for name, one in terms.items():
        played = case.play(one)
        operator, latest = played.operator, played.operator.history[-1]
        other = latest.prosumers_eur + latest.exchange_eur
        found[name] = Ended(case, operator.net_kw, operator.closed, other, played.rounds)
        if name == "B1":
            operator.rewire(0)
            found["B2"] = Ended(case, operator.net_kw, operator.closed, other, 0)
    return dict(sorted(found.items()))


def answer(quick: bool) -> Found:
    """Play all cases in all networks."""
    rows: list[Row] = []
    pictures: list[Picture] = []
    for network in NETWORKS:
        cases = ended(DayCase.of(network, kicks=2 if quick else 20))
        rows += [_row(network, name, one, cases["B1"]) for name, one in cases.items()]
        if network == "ieee33_bw":
            pictures = [_by_hour(cases), *_feeders(cases)]
    return Found(
        rows,
        [_by_case(rows), *pictures],
        [
            *(f"{name}: {said}." for name, said in SAID.items()),
            "total: discomfort and wear, exchange with the supplier, losses at 0.30 EUR/kWh, operations at 0.30 EUR.",
            "export: what all prosumers could feed in on top, at the worst hour, before a voltage passes 1.05 pu.",
            "Loads are the networks' own times drawn shapes; no voltage limit is kept, see vm_min_pu.",
        ],
    )


def _row(network: str, name: str, one: Ended, plain: Ended) -> Row:
    solved = one.case.grid.flow.solve(*one.case.grid.injections(one.net_kw, one.case.kvar), one.closed)
    loss_kwh, plain_kwh = float(one.loss_kw.sum()), float(plain.loss_kw.sum())
    return {
        "network": network,
        "case": name,
        "total_eur": one.total_eur,
        "loss_kwh": loss_kwh,
        "loss_against_b1_percent": 100.0 * (loss_kwh / plain_kwh - 1.0),
        "operations": one.operations,
        "switch_states": len(np.unique(one.closed, axis=0)),
        "rounds": one.rounds,
        "vm_min_pu": float(solved.vm_pu.min()),
        "vm_max_pu": float(solved.vm_pu.max()),
        "export_kw": float(export_kw(one.case, one.net_kw, one.closed).min()),
    }


def _by_case(rows: list[Row]) -> Picture:
    """Draw losses by case, a group for every network."""
    groups = [
        {"network": network, **{row["case"]: row["loss_kwh"] for row in rows if row["network"] == network}}
        for network in NETWORKS
    ]
    return bars(groups, "network", {name: name for name in SAID}, "losses, kWh a day")


def _by_hour(cases: dict[str, Ended]) -> Picture:
    """Draw losses by hour in every case."""
    losses = {name: one.loss_kw for name, one in cases.items()}
    rows = [{"hour": hour, **{name: float(kw[hour]) for name, kw in losses.items()}} for hour in range(HOURS)]
    return lines(rows, "hour", {name: name for name in cases}, "losses of ieee33_bw, kW")


def _feeders(cases: dict[str, Ended]) -> list[Picture]:
    """Draw the feeder before and after, at the hour at which most was lost before."""
    hour = int(cases["B1"].loss_kw.argmax())
    return [
        _feeder(cases[name], hour, f"{name}, {hour:02d}:00: electrical distance from upstream") for name in ("B1", "B4")
    ]


def _feeder(one: Ended, hour: int, title: str) -> Picture:
    solved = one.case.grid.flow.solve(*one.case.grid.injections(one.net_kw, one.case.kvar), one.closed)
    moment = Moment(solved.vm_pu[hour], solved.branch_p_kw[hour], solved.branch_loading_percent[hour], one.closed[hour])
    drawn = feeder_map(one.case.feeder, moment, Limits())
    drawn["layout"]["xaxis"]["title"]["text"] = title
    return drawn
