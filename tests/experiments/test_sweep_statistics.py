"""Ensembles, paired differences and effects on tables whose answers are known."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cosim.experiments.sweeps.effects import effects
from cosim.experiments.sweeps.harvest import columns
from cosim.experiments.sweeps.intervals import mean_of
from cosim.experiments.sweeps.statistics import Statistics
from cosim.models.errors import BadInputError

VARY = {"people.pv_scale": (1.0, 2.0), "operator.envelopes": ("fair", "none")}
SEEDS = range(1, 9)


def chance(seed: int) -> float:
    """Draw what a seed adds to every case."""
    return float(np.random.default_rng(seed).normal(0.0, 10.0))


def row(seed: int, scale: float, envelopes: str) -> dict:
    """Make a case: the scale adds 5 EUR, envelopes add 1 EUR, chance adds much more, the same in every case."""
    own = np.random.default_rng([seed, int(scale), len(envelopes)]).normal(0.0, 0.1)
    refused = {} if seed == 1 else {"events.order_refused": 2}
    return {
        "case": f"{scale}-{envelopes}-{seed}",
        "seed": seed,
        "people.pv_scale": scale,
        "operator.envelopes": envelopes,
        "prosumer_cost_eur": 100.0 + 5.0 * scale + (envelopes == "none") + chance(seed) + own,
        "generated_kwh": 1000.0 * scale,
        "violation_bus_intervals": 3 if envelopes == "none" else 0,
        "price_mean_eur_per_kwh": None if seed == 1 else 0.1,
        **refused,
    }


@pytest.fixture
def cases() -> pd.DataFrame:
    """Return a table of 32 cases."""
    rows = [row(seed, scale, name) for seed in SEEDS for scale in (1.0, 2.0) for name in ("fair", "none")]
    return pd.DataFrame(columns(rows))


@pytest.fixture
def statistics(cases) -> Statistics:
    """Return the statistics of that table."""
    return Statistics(cases, VARY)


def test_intervals_are_students():
    """Against scipy's own interval of a mean."""
    values = np.random.default_rng(1).normal(3.0, 2.0, 12)
    found = mean_of(values, 0.9)
    low, high = stats.t.interval(0.9, 11, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)


def test_intervals_hold_as_often_as_they_say():
    """Of 2,000 intervals over five normal values 95 % hold the mean, within three deviations of that count."""
    drawn = np.random.default_rng(2).normal(1.0, 4.0, (2000, 5))
    held = sum(found.low <= 1.0 <= found.high for found in map(mean_of, drawn))
    assert abs(held - 1900) < 3 * math.sqrt(2000 * 0.95 * 0.05)


def test_one_value_has_no_interval():
    """Nor a deviation; what is NaN is not counted."""
    found = mean_of([2.0, math.nan])
    assert (found.count, found.mean) == (1, 2.0)
    assert math.isnan(found.half)
    assert not found.excludes_zero


def test_ensemble_is_what_a_loop_makes_of_it(cases, statistics):
    """Slow twin: every combination's cases one by one."""
    found = statistics.ensemble(figures=["prosumer_cost_eur"])
    assert len(found) == 4
    for _, line in found.iterrows():
        values = [
            case["prosumer_cost_eur"] for _, case in cases.iterrows() if all(case[key] == line[key] for key in VARY)
        ]
        assert line["mean"] == pytest.approx(np.mean(values))
        assert line["std"] == pytest.approx(np.std(values, ddof=1))
        assert line["count"] == len(values)


def test_an_ensemble_by_fewer_keys_counts_seeds_not_cases(cases, statistics):
    """The other keys are averaged within a seed first: eight seeds are eight values, however many cases they have."""
    found = statistics.ensemble(by=["people.pv_scale"], figures=["prosumer_cost_eur"])
    assert found["count"].tolist() == [8, 8]
    of_one = cases[cases["people.pv_scale"] == 1.0].groupby("seed")["prosumer_cost_eur"].mean()
    assert found["std"][0] == pytest.approx(of_one.std())
    assert statistics.ensemble(by=[], figures=["prosumer_cost_eur"])["count"].tolist() == [8]


def test_common_chance_cancels_in_pairs(statistics):
    """One EUR stands out of ten EUR of chance once differences are taken within seeds."""
    a, b = {"operator.envelopes": "fair"}, {"operator.envelopes": "none"}
    paired = statistics.paired(a, b, figures=["prosumer_cost_eur"]).iloc[0]
    assert paired["low"] > 0.8
    assert paired["high"] < 1.2
    assert paired["mean"] == pytest.approx(paired["mean_b"] - paired["mean_a"])
    assert paired["count"] == 8
    alone = statistics.ensemble(by=["operator.envelopes"], figures=["prosumer_cost_eur"])
    assert (alone["high"] - alone["low"]).min() > 5.0


def test_pairs_the_other_way_round_have_the_other_sign(statistics):
    """Differences and their intervals are mirrored."""
    a, b = {"people.pv_scale": 1.0}, {"people.pv_scale": 2.0}
    there, back = (statistics.paired(*pair, figures=["prosumer_cost_eur"]).iloc[0] for pair in ((a, b), (b, a)))
    assert there["mean"] == pytest.approx(-back["mean"])
    assert there["low"] == pytest.approx(-back["high"])


def test_a_seed_without_all_its_cases_does_not_count(cases):
    """A half-finished seed would compare other cases than the others do."""
    short = Statistics(cases[cases["case"] != "2.0-none-3"], VARY)
    found = short.ensemble(by=["people.pv_scale"], figures=["generated_kwh"])
    assert found["count"].tolist() == [8, 7]
    assert short.paired({"people.pv_scale": 1.0}, {"people.pv_scale": 2.0}, ["generated_kwh"])["count"].tolist() == [7]


def test_figures_that_are_not_everywhere_are_counted_where_they_are(statistics):
    """A run without trades has no price, so its seed does not count; without an event it has none of it, which does."""
    found = statistics.ensemble(figures=["price_mean_eur_per_kwh", "events.order_refused"])
    assert found[found["figure"] == "price_mean_eur_per_kwh"]["count"].tolist() == [7] * 4
    assert found[found["figure"] == "events.order_refused"]["mean"].tolist() == [2 * 7 / 8] * 4


def test_effects_are_sorted_by_certainty_and_size(statistics):
    """First what chance does not move at all, then by change over spread; what does nothing comes last."""
    found = effects(statistics)
    moved = [(effect.key, effect.figure) for effect in found if effect.change.mean]
    certain = {("people.pv_scale", "generated_kwh"), ("operator.envelopes", "violation_bus_intervals")}
    assert set(moved[:2]) == certain
    costs = {effect.key: effect for effect in found if effect.figure == "prosumer_cost_eur"}
    assert costs["people.pv_scale"].size == pytest.approx(5 * costs["operator.envelopes"].size, rel=0.3)
    assert moved.index(("people.pv_scale", "prosumer_cost_eur")) < moved.index(
        ("operator.envelopes", "prosumer_cost_eur")
    )
    assert costs["people.pv_scale"].change.excludes_zero
    assert math.isinf(next(effect.size for effect in found if effect.figure == "generated_kwh" and effect.change.mean))


def test_effects_of_one_seed_have_no_spread(cases):
    """Then they are sorted by relative size, and JSON has no number for what is not known."""
    found = effects(Statistics(cases[cases["seed"] == 2], VARY))
    rows = [effect.as_row() for effect in found]
    assert rows[0]["figure"] == "violation_bus_intervals"
    assert rows[0]["relative"] is None
    assert all(row["low"] is None and not row["excludes_zero"] for row in rows)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda s: s.ensemble(by=["people.pv_scal"]), "did you mean 'people.pv_scale'?"),
        (lambda s: s.ensemble(figures=["generated_kw"]), "did you mean 'generated_kwh'?"),
        (lambda s: s.ensemble(figures=["case"]), "figure is 'case'"),
        (lambda s: s.ensemble(confidence=95), "confidence is 95; allowed is between 0 and 1"),
        (lambda s: s.paired({"people.pv_scale": 3.0}, {}), "people.pv_scale is 3.0; allowed is one of 1.0, 2.0"),
    ],
)
def test_what_there_is_not_is_said(statistics, ask, said):
    """Unknown keys, figures, values and levels."""
    with pytest.raises(BadInputError, match=said.replace("?", r"\?")):
        ask(statistics)


def test_columns_have_types_whatever_is_missing():
    """Whole numbers stay whole, missing counts are zero, other missing figures missing, tables without entries gone."""
    rows = [
        {"seed": 1, "x": 1, "y": None, "on": True, "events": {}, "name": "a"},
        {"seed": 2, "x": 2.5, "y": None, "on": False, "events.raised": 2, "name": None},
    ]
    found = columns(rows)
    assert {name: str(column.dtype) for name, column in found.items()} == {
        "seed": "Int64",
        "x": "Float64",
        "y": "Float64",
        "on": "boolean",
        "events.raised": "Int64",
        "name": "string",
    }
    assert list(found["events.raised"]) == [0, 2]
