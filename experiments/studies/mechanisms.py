"""All market mechanisms on one and the same day, with and without envelopes: what each brings, costs and breaks.

One sweep answers most questions: mechanisms by envelopes by seeds on the day of `mechanism_runs`. A seed draws equal
chance under every mechanism, so that mechanisms are compared within seeds (common random numbers).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cosim.experiments.plugins import registries
from cosim.experiments.studies import mechanism_behaviour, mechanism_clearing
from cosim.experiments.studies.mechanism_runs import QUICK, of_the_day, with_figures
from cosim.experiments.studies.pictures import bars
from cosim.experiments.studies.runs import Runs
from cosim.experiments.studies.study import Found, Part, PartOfRuns, Row, Study, or_none
from cosim.experiments.sweeps.intervals import Mean, mean_of, strict
from cosim.experiments.sweeps.statistics import Statistics

MECHANISM, ENVELOPES = "market.mechanism", "switches.envelopes"
REFERENCE = "uniform_price"
SEEDS, SEEDS_QUICK, SEEDS_WEEK = 20, 2, 3
WEEK = "2016-06-20T00:00:00+01:00"
# Smaller than what rounding trades to 0.00001 EUR and Wh adds up to in a day.
NOTHING_EUR, NOTHING_SHARE = 0.01, 1e-4
FOR_ALL = (
    "for_all: the interval excludes zero at the level at which of twenty such tables one has anything wrong",
    "(Bonferroni); the intervals themselves are of one question each.",
)


def names() -> list[str]:
    """Return every mechanism, the one that others are compared with first."""
    known = sorted(registries()["mechanism"].built_in)
    return [REFERENCE, *(name for name in known if name != REFERENCE)]


def the_day(quick: bool) -> Runs:
    """Return the runs that are compared; quickly, a few seeds and hours in place of quarter-hours."""
    seeds = tuple(range(1, 1 + (SEEDS_QUICK if quick else SEEDS)))
    return of_the_day(_all(), seeds, QUICK if quick else {})


def the_week() -> Runs:
    """Return runs of the whole week that the scenario begins with, for `make campaign`."""
    return of_the_day(_all(), tuple(range(1, 1 + SEEDS_WEEK)), {"time.start": WEEK}, days=7)


def _all() -> dict[str, Sequence[Any]]:
    return {MECHANISM: names(), ENVELOPES: (False, True)}


def market(quick: bool, folder: Path) -> Found:
    """Say what each mechanism makes of the day."""
    played = _played(quick, folder)
    figures = ("efficiency_share", "traded_kwh", "price_mean_eur_per_kwh", "price_dispersion_eur_per_kwh", "budget_eur")
    rows = [
        {"mechanism": name, "envelopes": _said(on), **{key: _mean(played, name, key, on=on).mean for key in figures}}
        for on in (False, True)
        for name in played.vary[MECHANISM]
    ]
    free, bound = (sorted((row for row in rows if row["envelopes"] == _said(on)), key=_by_name) for on in (False, True))
    return Found(
        rows,
        [
            bars(free, "mechanism", {"efficiency_share": "without envelopes"}, "welfare over the optimum's"),
            bars(bound, "mechanism", {"budget_eur": "with envelopes"}, "what the marketplace keeps, EUR a day"),
        ],
        [
            f"Means over {_seeds(played)} seeds. efficiency: welfare of the trades over the greatest that the books of",
            "all intervals allow, by the limits stated; budget: what the marketplace keeps, fees aside, or (negative)",
            "adds; price: mean of what sellers get and buyers pay; dispersion: its standard deviation in an interval.",
        ],
    )


def cost(quick: bool, folder: Path) -> Found:
    """Say what prosumers pay, and how that differs from the uniform price within seeds."""
    played = _played(quick, folder)
    rows = [_cost_row(played, name, on=on) for on in (False, True) for name in played.vary[MECHANISM]]
    bound = sorted((row for row in rows if row["envelopes"] == _said(True)), key=_by_name)
    ends = {"difference_eur": ("difference_low_eur", "difference_high_eur")}
    return Found(
        rows,
        [bars(bound, "mechanism", {"difference_eur": f"against {REFERENCE}"}, "prosumers pay more, EUR a day", ends)],
        [
            f"All prosumers together, one day, {_seeds(played)} seeds; low and high: 95 % intervals (Student).",
            f"difference: to {REFERENCE} with equal seeds, which draw equal chance: chance that both have cancels out.",
            *FOR_ALL,
            "Where a marketplace adds money (negative budget) prosumers pay less by what somebody else has to pay.",
        ],
    )


def grid(quick: bool, folder: Path) -> Found:
    """Say what envelopes prevent under each mechanism, and what they cost."""
    played = _played(quick, folder)
    rows = [grid_row(played, name) for name in played.vary[MECHANISM]]
    heights = {"violations_without": "without envelopes", "violations_with": "with fair envelopes"}
    return Found(
        rows,
        [bars(sorted(rows, key=_by_name), "mechanism", heights, "violating bus-intervals a day")],
        [
            "violations: bus-intervals beyond a voltage limit and branch-intervals beyond a rating, as delivered (AC).",
            "Without envelopes the operator does nothing at all: no bands, no tightening, no curtailment.",
            "prosumers_pay, traded: with envelopes less without, within seeds; ends of 95 % intervals behind.",
            *FOR_ALL,
            "Here both answers of a row, violations prevented and what prosumers pay, have to stand.",
        ],
    )


def fairness(quick: bool, folder: Path) -> Found:
    """Say who gains."""
    played = _played(quick, folder)
    figures = {
        "gain_eur": "gain_eur",
        "sellers_gain_eur": "sellers_eur",
        "buyers_gain_eur": "buyers_eur",
        "gain_jain_share": "jain",
        "gain_gini_share": "gini",
        "losers_share": "losers_share",
    }
    rows = [
        {
            "mechanism": name,
            "envelopes": _said(on),
            **{said: _mean(played, name, key, on=on).mean for key, said in figures.items()},
        }
        for on in (False, True)
        for name in played.vary[MECHANISM]
    ]
    bound = sorted((row for row in rows if row["envelopes"] == _said(True)), key=_by_name)
    heights = {"sellers_eur": "sellers", "buyers_eur": "buyers"}
    return Found(
        rows,
        [bars(bound, "mechanism", heights, "gained against dealing with the supplier, EUR a day")],
        [
            "Gains against dealing with the supplier, before fees, by prosumer and day; Jain's index and Gini's",
            "coefficient of those, nothing counted for whoever loses. losers: prosumers worse off by more than a cent",
            "than with the supplier alone once the market's fees are paid.",
        ],
    )


def promises(quick: bool, folder: Path) -> Found:
    """Say which of the properties one would wish for held in all of the runs, and which did not."""
    played = _played(quick, folder)
    rows = [promise_row(played, name) for name in played.vary[MECHANISM]]
    return Found(
        rows,
        [],
        [
            "Over all runs, with and without envelopes. broken: what did not hold; in_vain: what of that is claimed.",
            "No mechanism has them all: one that is efficient, truthful and leaves nobody worse off runs a deficit",
            "(Myerson and Satterthwaite 1983). What is claimed is tested for any book by `cosim check NAME`.",
        ],
    )


STUDY = Study(
    "Market mechanisms",
    (
        PartOfRuns("market", "What does each mechanism make of the same day?", market),
        PartOfRuns("cost", "What do prosumers pay, against a uniform price?", cost),
        PartOfRuns("grid", "What do envelopes prevent, and what do they cost?", grid),
        PartOfRuns("fairness", "Who gains?", fairness),
        PartOfRuns("promises", "What does each mechanism break?", promises),
        PartOfRuns("behaviour", "What if people do not say what energy is worth to them?", mechanism_behaviour.answer),
        Part("clearing", "How long does a clearing take?", mechanism_clearing.answer),
    ),
)


def _played(quick: bool, folder: Path) -> Statistics:
    return with_figures(the_day(quick).play(folder / "day"))


def _cost_row(played: Statistics, name: str, *, on: bool) -> Row:
    paid = _mean(played, name, "prosumer_cost_eur", on=on)
    one, other = ({MECHANISM: each, ENVELOPES: on} for each in (REFERENCE, name))
    change = played.differences(one, other, "prosumer_cost_eur")
    others = 2 * (len(played.vary[MECHANISM]) - 1)
    return {
        "mechanism": name,
        "envelopes": _said(on),
        **_with_ends("prosumer_cost", paid),
        **_with_ends("difference", change),
        "for_all": played.differences(one, other, "prosumer_cost_eur", strict(others)).excludes_zero,
    }


def grid_row(played: Statistics, name: str) -> Row:
    """Return what envelopes change under a mechanism."""
    free, bound = ({MECHANISM: name, ENVELOPES: on} for on in (False, True))
    without, kept = (
        played.by_seed(each, "violation_bus_intervals") + played.by_seed(each, "overloaded_branch_intervals")
        for each in (free, bound)
    )
    prevented, level = mean_of(without - kept), strict(2 * len(played.vary[MECHANISM]))
    pays, traded = (played.differences(free, bound, key) for key in ("prosumer_cost_eur", "traded_kwh"))
    strictly = mean_of(without - kept, level), played.differences(free, bound, "prosumer_cost_eur", level)
    return {
        "mechanism": name,
        "violations_without": float(without.mean()),
        "violations_with": float(kept.mean()),
        "prevented": prevented.mean,
        "prevented_low": or_none(prevented.low),
        "prevented_high": or_none(prevented.high),
        "curtailed_kwh": _mean(played, name, "curtailed_kwh", on=True).mean,
        **_with_ends("prosumers_pay", pays),
        "traded_kwh": traded.mean,
        "for_all": all(answer.excludes_zero for answer in strictly),
    }


def promise_row(played: Statistics, name: str) -> Row:
    """Return which properties a mechanism broke in any run, and the worst of the figures that say so."""
    claims = registries()["mechanism"].load(name).claims
    cases = played.cases[played.cases[MECHANISM] == name]
    worst = {
        "efficiency_lowest_share": float(cases["efficiency_share"].min()),
        "budget_lowest_eur": float(cases["budget_eur"].min()),
        "budget_highest_eur": float(cases["budget_eur"].max()),
        "dispersion_highest_eur_per_kwh": float(cases["price_dispersion_eur_per_kwh"].max()),
        "losers_highest_share": float(cases["losers_share"].max()),
    }
    broken = {
        "efficient": worst["efficiency_lowest_share"] < 1 - NOTHING_SHARE,
        "budget_balanced": max(-worst["budget_lowest_eur"], worst["budget_highest_eur"]) > NOTHING_EUR,
        "no_deficit": worst["budget_lowest_eur"] < -NOTHING_EUR,
        "individually_rational": worst["losers_highest_share"] > 0,
        "uniform_price": worst["dispersion_highest_eur_per_kwh"] > NOTHING_SHARE,
    }
    failed = [claim for claim, is_broken in broken.items() if is_broken]
    return {
        "mechanism": name,
        "broken": ", ".join(failed) or "none",
        "in_vain": ", ".join(claim for claim in failed if claim in claims) or "none",
        **worst,
    }


def _mean(played: Statistics, name: str, figure: str, *, on: bool) -> Mean:
    return mean_of(played.by_seed({MECHANISM: name, ENVELOPES: on}, figure))


def _with_ends(name: str, found: Mean) -> Row:
    return {
        f"{name}_eur": found.mean,
        f"{name}_low_eur": or_none(found.low),
        f"{name}_high_eur": or_none(found.high),
    }


def _by_name(row: Row) -> str:
    return str(row["mechanism"])


def _said(on: bool) -> str:
    return "fair" if on else "none"


def _seeds(played: Statistics) -> int:
    return int(played.cases["seed"].nunique())
