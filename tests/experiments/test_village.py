"""The main job: a week of the village, and what its scenario promises."""

import runpy
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import cosim
from cosim.experiments.build import Build
from cosim.experiments.run import Run
from cosim.experiments.scenario import Scenario

Week = Callable[..., Run]
BILLER = Path(__file__).parent.parent / "models" / "market" / "biller.py"
bill_eur = runpy.run_path(str(BILLER))["bill_eur"]


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> Week:
    """Run variants of village-v1, each once for the module."""
    done: dict[str, Run] = {}

    def variant(name: str, **how: object) -> Run:
        if name not in done:
            done[name] = cosim.run("village-v1", out=tmp_path_factory.mktemp(name) / "run", **how)
        return done[name]

    return variant


def test_week_is_sound(village: Week) -> None:
    """672 intervals, each planned and delivered under an AC check, without a violation; nobody goes without."""
    summary = village("week").summary
    assert (summary["intervals"], summary["ac_checks"]) == (672, 1344)
    assert summary["violation_bus_intervals"] == summary["planned_violation_bus_intervals"] == 0
    assert summary["diverged"] == 0
    assert summary["energy_residual_kwh"] < 2.5e-4
    assert summary["money_residual_eur"] == 0.0


def test_people_are_not_where_the_buses_are() -> None:
    """24 batteries; several prosumers on at least four buses and none on at least two: a row is not a bus."""
    scenario, folder = Scenario.load("village-v1")
    setting = Build(scenario, folder).world().setting
    at_bus = np.bincount(setting.community.bus, minlength=setting.community.buses)[1:]
    assert int((setting.community.portfolio.battery.power_kw > 0).sum()) == 24
    assert int((at_bus > 1).sum()) >= 4
    assert int((at_bus == 0).sum()) >= 2


def test_flexibility_matters(village: Week) -> None:
    """At least 15 % of the energy is flexible, and planning saves at least 5 % against passive prosumers."""
    planned = village("week").summary
    passive = village("passive", strategy="passive").summary
    assert planned["flexible_share"] >= 0.15
    assert planned["prosumer_cost_eur"] <= 0.95 * passive["prosumer_cost_eur"]


def test_market_touches_physics(village: Week) -> None:
    """With and without a market, deliveries differ by 1 % of the rating in at least 5 % of prosumer-intervals.

    The first three days have that many of the week's already.
    """
    scenario, folder = Scenario.load("village-v1")
    rating = Build(scenario, folder).world().setting.community.portfolio.connection_kw
    week = village("week").table("prosumers")
    without = village("no_market", market=False, days=3).table("prosumers")
    with_market = week[: len(without)]
    assert with_market[["interval", "prosumer"]].equals(without[["interval", "prosumer"]])
    gap = np.abs(with_market["net_kw"] - without["net_kw"]) / rating[with_market["prosumer"].to_numpy()]
    assert (gap > 0.01).sum() >= 0.05 * len(week)


def test_envelopes_keep_the_limits(village: Week) -> None:
    """Without envelopes the first three days of the same week break limits at hundreds of bus-intervals already."""
    assert village("no_envelopes", envelopes=False, days=3).summary["violation_bus_intervals"] >= 200


def test_perfect_forecasts_leave_no_gap(village: Week) -> None:
    """Who knows the future delivers to the bit what was planned, and no first plan breaks a limit."""
    perfect = village("perfect", rescue=False, days=2, overrides={"forecast.kind": "perfect"})
    table, summary = perfect.table("prosumers"), perfect.summary
    assert np.array_equal(table["net_kw"], table["nominated_kw"])
    assert summary["planned_violation_bus_intervals"] == summary["violation_bus_intervals"] == 0
    assert summary["imbalance_kwh"] == 0.0


def test_winter_import_binds(tmp_path: Path) -> None:
    """On a winter evening envelopes for import are what holds prosumers back."""
    run = cosim.run("village-winter-v1", out=tmp_path / "run", days=2)
    assert run.summary["import_bound"] > run.summary["export_bound"]
    assert run.summary["import_bound"] > 50
    assert run.summary["violation_bus_intervals"] == 0


def test_bills_are_what_a_second_biller_finds(village: Week) -> None:
    """Every prosumer's bill of the week, recomputed from the tables by other code, agrees within a cent."""
    run = village("week")
    scenario = run.manifest["scenario"]
    people, deals_table = run.table("prosumers"), run.table("trades")
    names = run.manifest["ids"]
    rows = dict(list(people.groupby("interval")))
    trades = dict(list(deals_table.groupby("interval")))
    recomputed = dict.fromkeys(names, Decimal(0))
    for record in run.table("intervals").to_dict("records"):
        index = record["interval"]
        interval = {
            "energy_price": _exact(record["energy_eur_per_kwh"]),
            "feed_in_price": _exact(record["sell_eur_per_kwh"]),
            "day_ahead_price": _exact(record["day_ahead_eur_per_kwh"]),
            "network_price": _exact(scenario["tariff"]["network_charge_eur_per_kwh"]),
            "fee_price": _exact(scenario["market"]["fee_eur_per_kwh"]),
            "slack_wh": Decimal(0),
        }
        deals = [
            {
                "seller": names[deal["seller"]],
                "buyer": names[deal["buyer"]],
                "energy_wh": deal["energy_wh"],
                "eur_per_wh": _exact(deal["price_eur_per_kwh"]) / 1000,
            }
            for deal in (trades[index].to_dict("records") if index in trades else [])
        ]
        for meter in rows[index].to_dict("records"):
            reading = {"name": meter["id"], "nominated_wh": meter["nominated_wh"], "metered_wh": meter["metered_wh"]}
            own = [deal for deal in deals if meter["id"] in {deal["seller"], deal["buyer"]}]
            recomputed[meter["id"]] += bill_eur(meter["id"], interval, [reading], own)
    billed = people.groupby("id")["money"].sum() / 100_000
    for name in names:
        assert abs(float(recomputed[name]) - billed[name]) < 0.01, name


def _exact(price: float) -> Decimal:
    return Decimal(repr(float(price)))
