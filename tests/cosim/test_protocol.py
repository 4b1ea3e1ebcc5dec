"""The order of events of one interval, with roles that answer by rote and know no strategy."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.messages import EnvelopeGrant, VolumeLimit
from cosim.models.devices.columns import SetPoints
from cosim.models.envelope import Envelopes
from cosim.models.errors import SimulationError
from cosim.models.grid.state import Diverged
from cosim.models.market.mechanism import Clearing, Trades, void
from cosim.models.market.order import BUY, SELL, Orders
from cosim.protocol import tick

MOST = np.full(2, np.inf)


def idle(view) -> SetPoints:
    """Return set-points that decide nothing."""
    return SetPoints(np.zeros(2), -MOST, -MOST, np.zeros(2), MOST)


def book(view) -> Orders:
    """Return the roof selling 6 kWh, the shop asking for 4."""
    side = np.array([SELL, BUY], np.int8)
    return Orders(np.arange(2), side, np.array([6000, 4000]), np.array([0.15, 0.2]))


def one_trade(view) -> Clearing:
    """Return a fill of 4 kWh at 0.18 EUR/kWh."""
    trades = Trades(np.array([0]), np.array([1]), np.array([4000]), np.array([0.18]))
    return Clearing(trades, 0.18, np.array([4000, 4000]))


def countersigned(interval, envelopes) -> VolumeLimit:
    """Return an operator's limits in Wh by the bands, an hour long."""
    sell, buy = np.maximum(envelopes.upper_kw, 0), np.maximum(-envelopes.lower_kw, 0)
    return VolumeLimit(interval.index, sell_wh=(1000 * sell).astype(int), buy_wh=(1000 * buy).astype(int))


class Operator:
    """Grants 20 kW each way; tightens the roof's export to the given values in turn, then curtails to the last."""

    def __init__(self, *exports_kw: float) -> None:
        self.exports_kw = list(exports_kw)

    def bands(self, interval, number, export_kw) -> EnvelopeGrant:
        bands = Envelopes(np.array([-20.0, -20.0]), np.array([export_kw, 20.0]))
        return EnvelopeGrant(interval.index, number, bands)

    def grant(self, view):
        return self.bands(view.interval, 0, 20.0)

    def tighten(self, view):
        return self.bands(view.interval, view.round + 1, self.exports_kw.pop(0))

    curtail = tighten


def answers(operator) -> dict:
    """Return what everybody says by rote."""
    return {
        "request": lambda view: Envelopes(view.power_range.lower_kw, view.power_range.upper_kw),
        "bid": book,
        "dispatch": idle,
        "grant": operator.grant,
        "tighten": operator.tighten,
        "curtail": operator.curtail,
        "countersign": countersigned,
        "clear": one_trade,
        "cancel": lambda trades, letter: void(trades, letter.sell_wh, letter.buy_wh),
    }


def limit_between(setting, low_kw: float, high_kw: float) -> float:
    """Return a voltage that the roof's export breaks at `high_kw` and keeps at `low_kw`."""

    def highest(export_kw: float) -> float:
        net = setting.community.at_buses(np.array([export_kw, -4.0]))
        return setting.truth.solve(net, np.zeros_like(net)).vm_pu.max()

    return (highest(low_kw) + highest(high_kw)) / 2


@pytest.fixture
def stage(theatre):
    """Return a function that plays the first tick of a setting; it returns the stage and the state."""
    tiny, begun, stage_of = theatre

    def play(operator, *, highest_export_kw=None, **switches):
        setting = tiny(available_kw=(60.0, 0.0), connection_kw=70.0, **switches)
        if highest_export_kw is not None:
            limit = limit_between(setting, highest_export_kw, highest_export_kw + 1.0)
            setting = replace(setting, limits=replace(setting.limits, vm_max_pu=limit))
        state, actors = begun(setting), stage_of(setting, answers(operator))
        actors.play(tick(setting, state, 0))
        return actors, state

    return play


DECIDED = [
    "ask forecaster to outlook",
    "ask prosumers to request",
    "send RoomRequest",
    "ask operator to grant",
    "send EnvelopeGrant",
    "ask prosumers to bid",
    "send OrderBatch",
    "ask operator to countersign",
    "send VolumeLimit",
    "wait 300",
    "ask marketplace to clear",
    "send Fills",
    "ask prosumers to dispatch",
    "wait 60",
    "send Nomination",
    "send NominationCopy",
]
TIGHTENED = [
    "ask operator to tighten",
    "send EnvelopeGrant",
    "ask operator to countersign",
    "send Cancellation",
    "ask marketplace to cancel",
    "send Fills",
    "ask prosumers to dispatch",
    "wait 60",
    "send Nomination",
    "send NominationCopy",
]
CURTAILED = [
    "ask operator to curtail",
    "send EnvelopeGrant",
    "wait 60",
    "send Nomination",
    "send NominationCopy",
]
SETTLED = [
    "ask forecaster to actual",
    "send GridReading",
    "send EnergyReading",
    "send FinalFills",
    "send Bills",
    "ask recorder to keep",
    "ask prosumers to learn",
]


def test_order_of_events_when_the_grid_carries_the_plan(stage):
    """Forecast, ask, grant, trade, clear, redispatch, nominate: as the architecture lists them."""
    actors, state = stage(Operator())
    assert actors.said == DECIDED
    assert state.pending[0].plan["tighten_rounds"] == 0


def test_order_of_events_of_an_interval_that_is_over(theatre):
    """Meter, read, bill, record, learn; then the next decision."""
    tiny, begun, stage_of = theatre
    setting = tiny()
    state, actors = begun(setting), stage_of(setting, answers(Operator()))
    actors.play(tick(setting, state, 0))
    actors.said.clear()
    assert actors.play(tick(setting, state, 1)) == [*SETTLED, *DECIDED]
    assert list(state.pending) == [1]


def test_one_round_of_tightening_is_enough_where_it_helps(stage):
    """A plan that breaks a limit is narrowed, cancelled, told, redispatched and checked again."""
    actors, state = stage(Operator(5.0), highest_export_kw=10.0)
    assert actors.said == [*DECIDED, *TIGHTENED]
    plan = state.pending[0].plan
    assert (plan["tighten_rounds"], plan["rechecks"], plan["violation_buses"]) == (1, 1, 0)
    assert plan["violation_buses_first"] > 0
    assert state.pending[0].nominated_kw.tolist() == [5.0, -4.0]


def test_after_the_last_round_the_rule_curtails(stage):
    """Two rounds that do not help are followed by curtailment, at once and without asking prosumers again."""
    actors, state = stage(Operator(18.0, 15.0, 9.0), highest_export_kw=10.0)
    assert actors.said == [*DECIDED, *TIGHTENED, *TIGHTENED, *CURTAILED]
    plan = state.pending[0].plan
    assert (plan["tighten_rounds"], plan["rechecks"], plan["violation_buses"]) == (2, 3, 0)
    assert plan["curtailed_by_rule_kwh"] == pytest.approx(6.0)
    assert state.pending[0].nominated_kw[0] == pytest.approx(9.0)


def test_without_rounds_the_rule_acts_at_once(stage):
    """A scenario may give tightening no round at all."""
    actors, _ = stage(Operator(9.0), highest_export_kw=10.0, tighten_rounds=0)
    assert actors.said == [*DECIDED, *CURTAILED]


def test_what_even_the_rule_cannot_mend_is_recorded(stage):
    """The talk ends after curtailment whatever comes of it; the plan says how many buses stay outside."""
    actors, state = stage(Operator(18.0, 15.0, 14.0), highest_export_kw=10.0)
    assert actors.said[-len(CURTAILED) :] == CURTAILED
    assert state.pending[0].plan["violation_buses"] > 0


def test_fills_beyond_a_tightened_band_are_void_on_both_sides(stage):
    """Narrowed to 3 kW, the roof keeps 3 of 4 kWh sold; the shop's purchase shrinks alike, and both are told."""
    actors, state = stage(Operator(3.0), highest_export_kw=10.0)
    fills = [letter.position_wh.tolist() for letter in actors.letters if type(letter).__name__ == "Fills"]
    assert fills == [[4000, -4000], [3000, -3000]]
    assert state.pending[0].trades.energy_wh.tolist() == [3000]
    assert state.pending[0].plan["voided_wh"] == 1000
    assert [view.position_kw.tolist() for (view,) in actors.views["dispatch"]] == [[4.0, -4.0], [3.0, -3.0]]


def test_void_energy_is_never_paid(theatre):
    """After cancellation the bills contain the trade that was kept and nothing of the one that was void."""
    tiny, begun, stage_of = theatre
    setting = tiny(available_kw=(60.0, 0.0), connection_kw=70.0)
    limit = limit_between(setting, 10.0, 11.0)
    setting = replace(setting, limits=replace(setting.limits, vm_max_pu=limit))
    state, actors = begun(setting), stage_of(setting, answers(Operator(3.0, 3.0, 3.0)))
    for now in (0, 1):
        actors.play(tick(setting, state, now))
    bills = next(letter for letter in actors.letters if type(letter).__name__ == "Bills")
    # The shop pays 3 kWh at 0.18 to the roof and 1 kWh at 0.30 to the supplier; the roof gets its 3 kWh.
    assert bills.money.tolist() == [54_000, -54_000 - 30_000]


def test_without_a_market_nobody_is_asked_for_orders(stage):
    """--no-market: the same talk less everything about orders and fills."""
    actors, state = stage(Operator(), market=False)
    trading = ("bid", "OrderBatch", "countersign", "VolumeLimit", "wait 300", "clear", "Fills")
    assert actors.said == [line for line in DECIDED if not any(word in line for word in trading)]
    assert len(state.pending[0].trades) == 0
    actors, _ = stage(Operator(5.0), highest_export_kw=10.0, market=False)
    assert "send Cancellation" not in actors.said


def test_without_envelopes_the_operator_only_checks(stage):
    """--no-envelopes: no requests, grants or countersigned volumes, no rescue; violations are counted all the same."""
    actors, state = stage(Operator(), highest_export_kw=10.0, envelopes=False)
    granting = ("request", "RoomRequest", "grant", "EnvelopeGrant", "countersign", "VolumeLimit")
    assert actors.said == [line for line in DECIDED if not any(word in line for word in granting)]
    assert state.pending[0].plan["violation_buses"] > 0
    assert np.isinf(state.pending[0].envelopes.upper_kw).all()


def test_without_rescue_a_bad_plan_is_carried_out(stage):
    """--no-rescue: granted envelopes hold, but a plan that breaks limits is neither tightened nor curtailed."""
    actors, state = stage(Operator(), highest_export_kw=10.0, rescue=False)
    assert actors.said == DECIDED
    assert state.pending[0].plan["violation_buses"] == state.pending[0].plan["violation_buses_first"] > 0


def test_the_granted_band_binds_plan_and_delivery(theatre):
    """What is nominated and what is delivered stay inside the band, though the set-points ask for all there is."""
    tiny, begun, stage_of = theatre
    setting = tiny(available_kw=(60.0, 0.0), connection_kw=70.0)
    operator = Operator()
    operator.grant = lambda view: operator.bands(view.interval, 0, 7.5)
    state, actors = begun(setting), stage_of(setting, answers(operator))
    for now in (0, 1):
        actors.play(tick(setting, state, now))
    kinds = {type(letter).__name__: letter for letter in actors.letters}
    assert kinds["Nomination"].net_kw.tolist() == kinds["GridReading"].net_kw.tolist() == [7.5, -4.0]


def test_the_view_says_what_is_expected_when_the_gate_is_early(theatre):
    """With two intervals of lead the battery is shown as it will be once what is pending has been carried out."""
    tiny, begun, stage_of = theatre
    setting = tiny(gate_lead=2, intervals=5)
    state = begun(setting)
    charging = {**answers(Operator()), "dispatch": lambda view: replace(idle(view), battery_kw=np.array([-1.0, 0.0]))}
    actors = stage_of(setting, charging)
    for now in range(-2, 3):
        actors.play(tick(setting, state, now))
    seen = [(view.interval.index, float(view.state.soc_kwh[0])) for (view,) in actors.views["bid"]]
    assert seen == [(0, 5.0), (1, 6.0), (2, 7.0), (3, 8.0), (4, 9.0)]
    assert sorted(state.pending) == [2, 3, 4]


def test_a_plan_that_diverges_counts_as_broken_everywhere(stage, theatre):
    """No voltages at all: every bus counts as outside its limits, and the rescue acts."""
    tiny, begun, stage_of = theatre
    setting = tiny(available_kw=(60.0, 0.0), connection_kw=70.0)

    class Fragile:
        def solve(self, p_kw, q_kvar, start=None):
            return Diverged("no", 1, 1.0) if p_kw.max() > 10.0 else setting.truth.solve(p_kw, q_kvar)

    fragile = replace(setting, truth=Fragile())
    state, actors = begun(setting), stage_of(setting, answers(Operator(5.0)))
    actors.play(tick(fragile, state, 0))
    assert state.pending[0].plan["violation_buses_first"] == setting.community.buses
    assert state.pending[0].plan["violation_buses"] == 0


def test_a_delivery_that_diverges_is_carried_in_part_and_noted(theatre):
    """The ladder takes the largest share that the grid carries, and a note says how much that was."""
    tiny, begun, stage_of = theatre
    setting = tiny(available_kw=(12.0, 0.0))
    state, actors = begun(setting), stage_of(setting, answers(Operator()))
    actors.play(tick(setting, state, 0))

    class Fragile:
        def solve(self, p_kw, q_kvar, start=None):
            return Diverged("no", 1, 1.0) if p_kw.max() > 7.0 else setting.truth.solve(p_kw, q_kvar)

    actors.play(tick(replace(setting, truth=Fragile(), intervals=1), state, 1))
    assert actors.views["note"] == [(0, "operator", "diverged", "only 70% could be carried")]
    (kept,) = (tables for (tables,) in actors.views["keep"])
    assert kept["prosumers"]["net_kw"].tolist() == pytest.approx([7.0, -2.8])
    assert kept["prosumers"]["unserved_kw"].tolist() == pytest.approx([0.0, 1.2])


def test_a_feeder_without_any_solution_ends_the_run(theatre):
    """If nothing at all can be carried the simulation has failed, and says so."""
    tiny, begun, stage_of = theatre
    setting = tiny()
    state, actors = begun(setting), stage_of(setting, answers(Operator()))
    actors.play(tick(setting, state, 0))

    class Dead:
        def solve(self, p_kw, q_kvar, start=None):
            return Diverged("no", 1, 1.0)

    with pytest.raises(SimulationError, match="no solution even without any injection"):
        actors.play(tick(replace(setting, truth=Dead()), state, 1))
