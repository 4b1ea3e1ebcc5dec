"""Meters that lie, energy withheld, branches out of service, prices that are missing: who pays, and what is said."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.faults import Faults, ForcedBranch, Span, Withheld, WrongMeter
from cosim.models.grid.topology import islands
from cosim.models.market.ledger import Accounts, LedgerKind
from cosim.outages import Lit
from cosim.post import Channel, Lines, Post

SELLING = {"people__strategy": "predictive"}
RADIAL = {"reconfiguration__kind": "daily", "reconfiguration__kicks": 0, "reconfiguration__on_violation": False}
LINE = "5"
CUT = [{"branch": LINE, "begin": 2, "end": 4}]


def causes(tables) -> list[tuple[int, str]]:
    """Return what was noted, with the interval that it is about."""
    return [pair for one in tables for pair in zip(one["events"]["about"], one["events"]["cause"], strict=True)]


def rows_of(ledger, kind: LedgerKind):
    """Return the rows of one kind."""
    chosen = ledger["kind"] == kind
    return {name: column[chosen] for name, column in ledger.items()}


def test_a_meter_that_counts_too_little_costs_the_operator(short_runs):
    """A tenth is counted of what the shop draws: it pays a tenth, the operator's losses grow by the rest, in Wh."""
    lie = [{"who": "shop-25a", "factor": 0.1, "begin": 1, "end": 3}]
    world = short_runs.world(4, **SELLING, faults__wrong_meters=lie)
    honest, lying = short_runs.play(short_runs.world(4, **SELLING)), short_runs.play(world)
    row, accounts = world.setting.ids.index("shop-25a"), Accounts(10)
    for number in range(4):
        one, other = honest[number], lying[number]
        told = other["prosumers"]["metered_wh"] - one["prosumers"]["metered_wh"]
        assert np.array_equal(one["prosumers"]["net_kw"], other["prosumers"]["net_kw"])
        assert np.flatnonzero(told).tolist() == ([row] if number in {1, 2} else [])
        loss, before = (int(rows_of(each["ledger"], LedgerKind.LOSS)["energy_wh"].sum()) for each in (other, one))
        assert loss - before == told.sum()
        got = np.bincount(other["ledger"]["payee"], other["ledger"]["money"], accounts.count)
        assert (got - np.bincount(other["ledger"]["payer"], other["ledger"]["money"], accounts.count)).sum() == 0.0
    assert [pair for pair in causes(lying) if pair[1] == "meter_wrong"] == [(1, "meter_wrong"), (2, "meter_wrong")]


def test_a_reading_that_is_lost_is_settled_as_nominated(short_runs):
    """Without a reading nobody is charged an imbalance; what really passed shows in the operator's losses."""
    lost = short_runs.play(short_runs.world(3, **SELLING, faults__meter={"lost": 1.0}))
    whole = short_runs.play(short_runs.world(3, **SELLING))
    for one, other in zip(lost, whole, strict=True):
        assert np.array_equal(one["prosumers"]["net_kw"], other["prosumers"]["net_kw"])
        assert np.array_equal(one["prosumers"]["metered_wh"], one["prosumers"]["nominated_wh"])
        assert len(rows_of(one["ledger"], LedgerKind.IMBALANCE)["money"]) == 0
    assert sum(len(rows_of(one["ledger"], LedgerKind.IMBALANCE)["money"]) for one in whole) > 0
    assert [cause for _, cause in causes(lost)].count("reading_missing") == 3


def test_who_sells_and_does_not_deliver_pays_the_imbalance(short_runs):
    """Nobody else gains or loses anything: the seller pays the late price for what it has sold."""
    world = short_runs.world(3, **SELLING)
    plain = short_runs.play(world)
    seller = int(np.argmax(plain[1]["prosumers"]["position_wh"]))
    assert plain[1]["prosumers"]["position_wh"][seller] > 0
    name = world.setting.ids[seller]
    held = short_runs.play(short_runs.world(3, **SELLING, faults__withheld=[{"who": name, "begin": 1, "end": 2}]))
    now = held[1]["prosumers"]
    assert now["net_kw"][seller] <= 1e-9
    assert now["money"][seller] < plain[1]["prosumers"]["money"][seller]
    others = np.arange(10) != seller
    assert np.array_equal(now["money"][others], plain[1]["prosumers"]["money"][others])
    owed = rows_of(held[1]["ledger"], LedgerKind.IMBALANCE)
    assert seller in owed["payer"]
    assert (1, "withheld") in causes(held)


def test_a_line_out_of_service_leaves_its_customers_without_voltage(short_runs):
    """Cut off in two intervals: nobody there exchanges anything, what is missing is unserved; then all is as before."""
    world = short_runs.world(6, **SELLING, faults__branches=CUT)
    feeder = world.setting.truth.feeder
    closed = feeder.closed.copy()
    closed[feeder.branch_ids.index(LINE)] = False
    dark = ~islands(feeder, closed)
    rows = dark[world.setting.community.bus]
    assert 0 < rows.sum() < 10
    for number, one in enumerate(short_runs.play(world)):
        cut = number in {2, 3}
        assert np.array_equal(one["buses"]["vm_pu"] == 0.0, dark & cut)
        assert (np.abs(one["prosumers"]["net_kw"][rows]) < 1e-6).all() == cut
        assert (one["intervals"]["passive_unserved_kw"][0] > 1.0) == cut
        assert ("cut_off" in one["events"]["cause"]) == cut
        assert bool(one["branches"]["closed"][feeder.branch_ids.index(LINE)]) != cut
        assert all(np.isfinite(column).all() for column in one["buses"].values())


def test_the_operator_notices_and_nobody_sells_what_it_cannot_deliver(short_runs):
    """The first interval was planned before the outage; in the second those cut off nominate nothing."""
    world = short_runs.world(5, **SELLING, faults__branches=CUT)
    tables = short_runs.play(world)
    dark = tables[2]["buses"]["vm_pu"][world.setting.community.bus] == 0.0
    nominated = [np.abs(tables[number]["prosumers"]["nominated_kw"][dark]).max() for number in (2, 3)]
    assert nominated[0] > 0.1
    assert nominated[1] < 1e-6


def test_ties_supply_again_where_switches_may_be_operated(short_runs):
    """With reconfiguration the part that was cut off has voltage again from the second interval on."""
    tables = short_runs.play(short_runs.world(6, **SELLING, **RADIAL, faults__branches=CUT))
    dark = [int((one["buses"]["vm_pu"] == 0.0).sum()) for one in tables]
    assert dark[2] > 0
    assert dark[:2] == dark[3:5] == [0, 0]
    assert "switched" in [cause for _, cause in causes(tables)]
    assert tables[3]["intervals"]["switched"][0] > 0
    assert np.array_equal(tables[1]["branches"]["closed"], tables[4]["branches"]["closed"])


def test_a_tie_held_closed_makes_a_mesh(short_runs):
    """A switch event: the branch is closed against the file, and the run goes on with the loop that it makes."""
    world = short_runs.world(2)
    feeder = world.setting.truth.feeder
    tie = feeder.branch_ids[int(np.flatnonzero(~feeder.closed)[0])]
    held = [{"branch": tie, "begin": 0, "end": 2, "closed": True}]
    meshed, radial = short_runs.play(short_runs.world(2, faults__branches=held)), short_runs.play(world)
    for one, other in zip(meshed, radial, strict=True):
        assert one["branches"]["closed"].sum() == feeder.closed.sum() + 1
        assert one["intervals"]["loss_kw"][0] < other["intervals"]["loss_kw"][0]


def test_generation_that_cannot_be_held_back_trips_without_voltage(theatre, tiny_run):
    """A dark roof feeds nothing in, even where nobody can turn its generation down."""
    tiny, _, _ = theatre
    setting = tiny(envelopes=False, market=False)
    portfolio = setting.community.portfolio
    stiff = replace(portfolio, generation=replace(portfolio.generation, curtailable=np.zeros(2, dtype=bool)))
    setting = replace(setting, community=replace(setting.community, portfolio=stiff))
    setting = replace(setting, faults=Faults(branches=(ForcedBranch(0, False, Span(0, 1)),)))
    tables, notes = tiny_run(setting)
    assert tables[0]["prosumers"]["generation_kw"].tolist() == [0.0, 0.0]
    assert tables[0]["prosumers"]["net_kw"] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert [note[2] for note in notes if note[0] == 0] == ["cut_off"]


def test_a_missing_price_is_the_last_one_and_said_so(short_runs):
    """From the second interval on no price: losses and the supplier's purchases cost what they did before."""
    gap = {"faults__price_gaps": [{"begin": 1, "end": 9}], "time__interval_s": 3600, "tariff__kind": "dynamic"}
    tables = short_runs.play(short_runs.world(3, **gap))
    paid = [one["intervals"]["day_ahead_eur_per_kwh"][0] for one in tables]
    known = [
        one["intervals"]["day_ahead_eur_per_kwh"][0]
        for one in short_runs.play(short_runs.world(3, **{**gap, "faults__price_gaps": []}))
    ]
    assert paid == [known[0]] * 3
    assert len(set(known)) > 1
    assert [pair for pair in causes(tables) if pair[1] == "price_missing"] == [
        (1, "price_missing"),
        (2, "price_missing"),
    ]


def test_no_fault_is_the_default(short_runs):
    """A scenario that declares sound channels and spans in which nothing happens is the scenario without them."""
    plain, declared = (
        short_runs.world(2, **more)
        for more in ({}, {"faults__operator": {"lost": 0.0}, "faults__silences": [], "faults__wrong_meters": []})
    )
    for world in (plain, declared):
        short_runs.play(world)
    assert plain.state.digest == declared.state.digest


def test_faults_answer_by_span():
    """Spans begin with their first interval and end before their last; factors multiply."""
    span = Span(2, 4)
    faults = Faults(
        meters=(WrongMeter(1, 0.5, span), WrongMeter(1, 0.5, Span(3, 9))),
        withheld=(Withheld(0, span),),
        branches=(ForcedBranch(2, False, span),),
    )
    assert faults.factors(1, 2) is None
    assert [faults.factors(at, 2).tolist() for at in (2, 3, 4)] == [[1.0, 0.5], [1.0, 0.25], [1.0, 0.5]]
    assert [len(faults.withholding(at)) for at in range(1, 5)] == [0, 1, 1, 0]
    closed = np.ones(3, dtype=bool)
    assert [bool(faults.forced(closed, at, 9)[2]) for at in range(1, 5)] == [True, False, False, True]
    assert faults.forced(closed, 3, 1).all()
    assert Lit().bands(None) is None


def test_sound_channels_cost_nothing():
    """A post whose channels are sound carries letters untouched."""
    assert Lines(lambda _purpose, _index: np.zeros(1), {"market": Channel()}).sound
    assert Post(lines=Lines(lambda _purpose, _index: np.zeros(1))).counts == {}
