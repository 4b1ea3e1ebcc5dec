"""What must hold in every settled interval: each quantity, spoilt by a little, stops the run with a sentence."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.delivery import metered
from cosim.invariants import check_books, check_delivery
from cosim.models.devices.columns import SetPoints
from cosim.models.envelope import Envelopes
from cosim.models.errors import SimulationError
from cosim.models.grid.state import Diverged
from cosim.models.market.mechanism import Trades
from cosim.models.market.settlement import SettlementPrices
from cosim.models.market.tariff import Prices
from cosim.models.step import Commitment, Decisions, PassiveLoad, step, whole_wh


def check_interval(setting, before, exogenous, passive, result, interval, closed=None) -> None:
    """Check what passed, then the books."""
    check_delivery(setting, before, exogenous, passive, result, interval, closed)
    check_books(setting, passive, result, interval)


@pytest.fixture
def settled(theatre):
    """Return the arguments of `check_interval` for a sound interval with a trade, an imbalance and a discharge."""
    tiny, begun, _ = theatre
    setting = tiny()
    interval, before = setting.interval(0), begun(setting).devices
    exogenous, passive = setting.nature.actual(interval)
    passive = PassiveLoad(np.full(setting.community.buses, -3.0), np.full(setting.community.buses, -1.0))
    passive.p_kw[setting.truth.feeder.slack] = 0.0
    most = np.full(2, np.inf)
    points = SetPoints(np.array([1.0, 0.0]), -most, -most, np.zeros(2), most)
    trades = Trades(np.array([0]), np.array([1]), np.array([2500]), np.array([0.2]))
    prices = SettlementPrices.of(Prices(np.array([0.3]), np.array([0.1]), 0.05, 0.002), 0, 0.06)
    commitment = Commitment(trades, np.array([6000, -4000]), prices)
    decisions = Decisions(points, Envelopes.unlimited(2))
    result = step(setting.community, setting.truth, before, decisions, exogenous, passive, interval, commitment)
    return {
        "setting": setting,
        "before": before,
        "exogenous": exogenous,
        "passive": passive,
        "result": result,
        "interval": interval,
    }


def test_a_sound_interval_passes(settled):
    """Nothing is raised for what the step made."""
    check_interval(**settled)


def spoilt(settled, **changes):
    """Return the arguments with parts of the result replaced: `part__name` is a field of a part."""
    result = settled["result"]
    for path, change in changes.items():
        part, name = path.split("__")
        inner = getattr(result, part)
        value = getattr(inner, name)
        result = replace(result, **{part: replace(inner, **{name: change(value)})})
    return {**settled, "result": result}


def nudged(amount):
    """Return a change of the first entry of a column, or of a number."""

    def change(value):
        if not isinstance(value, np.ndarray):
            return value + amount
        column = value.copy()
        column[0] += amount
        return column

    return change


DEVICES = "interval 0: energy of the devices of roof is out by"
METERS = "interval 0: meters, losses and slack do not add up"


@pytest.mark.parametrize(
    ("path", "change", "sentence"),
    [
        ("state__soc_kwh", nudged(1e-3), DEVICES),
        ("state__soc_kwh", nudged(np.nan), DEVICES),
        ("state__backlog_kwh", nudged(1e-3), DEVICES),
        ("state__heat_kwh", nudged(1e-3), DEVICES),
        ("delivery__demand_kw", nudged(1e-3), DEVICES),
        ("delivery__shiftable_kw", nudged(-1e-3), DEVICES),
        ("delivery__ev_kw", nudged(-1e-3), DEVICES),
        ("delivery__ev_unmet_kwh", nudged(1e-3), DEVICES),
        ("delivery__heat_pump_kw", nudged(-1e-3), DEVICES),
        ("delivery__heat_unmet_kwh", nudged(1e-3), DEVICES),
        ("delivery__battery_kw", nudged(1e-3), DEVICES),
        ("delivery__generation_kw", nudged(1e-3), DEVICES),
        ("delivery__net_kw", nudged(1e-3), DEVICES),
        ("delivery__unserved_kw", nudged(1e-3), DEVICES),
        ("delivery__net_kw", nudged(np.nan), DEVICES),
        ("grid__loss_kw", nudged(1e-3), METERS),
        ("grid__slack_kw", nudged(1e-3), METERS),
        ("grid__slack_kw", nudged(np.nan), METERS),
        ("grid__unsupplied_kw", nudged(1e-3), METERS),
        ("grid__vm_pu", nudged(2e-6), "interval 0: the two power flows differ by 2e-06 pu"),
        ("grid__vm_pu", nudged(np.nan), "interval 0: the two power flows differ by nan pu"),
        ("ledger__energy_wh", nudged(100), "interval 0: row 0 of the ledger is not its energy times its price"),
        ("ledger__money", nudged(1), "interval 0: row 0 of the ledger is not its energy times its price"),
        ("delivery__q_kvar", nudged(5.0), "interval 0: the two power flows differ by"),
    ],
)
def test_a_spoilt_quantity_stops_the_run(settled, path, change, sentence):
    """A thousandth of a kW or kWh, a Wh in the books, two millionths of a voltage, or not-a-number: each is found."""
    with pytest.raises(SimulationError) as error:
        check_interval(**spoilt(settled, **{path: change}))
    assert str(error.value).startswith(sentence)


def test_a_battery_outside_its_bounds_stops_the_run(settled):
    """A state of charge above the most allowed is named even when its own energy balance is right."""
    portfolio = settled["setting"].community.portfolio
    smaller = replace(portfolio.battery, soc_max_kwh=np.array([3.0, 0.0]))
    community = replace(settled["setting"].community, portfolio=replace(portfolio, battery=smaller))
    with pytest.raises(SimulationError, match="state of charge of roof is outside its bounds"):
        check_interval(**{**settled, "setting": replace(settled["setting"], community=community)})


def test_an_interval_without_a_solution_is_not_settled(settled):
    """A diverged power flow, or a missing ledger, can never count as settled."""
    result = settled["result"]
    for broken in (replace(result, grid=Diverged("no", 1, 1.0)), replace(result, ledger=None)):
        with pytest.raises(SimulationError, match="interval 0: not settled"):
            check_interval(**{**settled, "result": broken})


def test_a_passive_load_that_nobody_metered_stops_the_run(settled):
    """Passive customers' power is part of the balance."""
    passive = settled["passive"]
    with pytest.raises(SimulationError, match="meters, losses and slack"):
        check_interval(**{**settled, "passive": PassiveLoad(passive.p_kw - 1e-3, passive.q_kvar)})


def test_a_second_engine_that_diverges_stops_the_run(settled):
    """The searching engine must solve what the true one solves."""

    class Broken:
        def solve(self, p_kw, q_kvar):
            return replace(settled["setting"].twin.solve(p_kw, q_kvar), converged=np.zeros(len(p_kw), bool))

    setting = replace(settled["setting"], twin=Broken())
    with pytest.raises(SimulationError, match="the searching power flow diverges"):
        check_interval(**{**settled, "setting": setting})


@pytest.mark.parametrize("kind", range(8))
def test_money_that_goes_nowhere_stops_the_run(settled, kind):
    """Whatever kind of row loses a partner, energy or money no longer adds up to what was metered."""
    ledger = settled["result"].ledger
    rows = np.flatnonzero(ledger.kind == kind)
    if not len(rows) or kind >= 6:  # charges move no energy: their money is zero-sum by construction
        return
    keep = np.arange(len(ledger)) != rows[0]
    shorter = type(ledger)(*(getattr(ledger, name)[keep] for name in ledger.__dataclass_fields__))
    with pytest.raises(SimulationError, match="interval 0: ledger"):
        check_interval(**{**settled, "result": replace(settled["result"], ledger=shorter)})


def test_a_breach_stops_the_talk_before_anything_is_told(theatre, settled):
    """In the protocol a breach comes before the first letter about the interval, so nothing wrong is ever recorded."""
    tiny, begun, stage_of = theatre
    setting = tiny()

    class Liar:
        def solve(self, p_kw, q_kvar):
            state = setting.truth.solve(p_kw, q_kvar)
            return replace(state, slack_kw=state.slack_kw + 1.0)

    state, stage = begun(setting), stage_of(setting, {})
    from cosim.state import Pending

    most = np.full(2, np.inf)
    state.pending[0] = Pending(
        SetPoints(np.zeros(2), -most, -most, np.zeros(2), most),
        Envelopes.unlimited(2),
        np.zeros(2),
        np.zeros(2),
        Trades.empty(),
        None,
        {},
    )
    with pytest.raises(SimulationError):
        stage.play(metered(replace(setting, truth=Liar()), state, setting.interval(0)))
    assert stage.said == ["ask forecaster to actual"]


def test_whole_wh_is_what_a_meter_counts():
    """Energies are rounded to the nearest Wh."""
    from cosim.models.time import Interval

    assert whole_wh(np.array([1.0004, -0.0026]), Interval(0, 0, 900)).tolist() == [250, -1]
