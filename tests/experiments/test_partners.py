"""Partners as scenarios and `cosim clear` declare them: who trades with whom, and what is said about bad tables."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from cosim.agents.prosumer.bidding.strategy import CohortStrategy
from cosim.experiments.build import Build, Switches
from cosim.experiments.cli import app
from cosim.experiments.partners import neighbours
from cosim.experiments.scenario import Scenario
from cosim.models.errors import BadInputError
from cosim.models.grid.electrical_distance import nearest
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.graph import component_labels
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.market.order import BUY, SELL, Orders

HEAD = "buyer,seller,preference_eur_per_kwh\n"
SELLERS = 3


class ThreeSell(CohortStrategy):
    """The first three offer 400 Wh at the floor, the others want 300 Wh at the ceiling."""

    name = "three_sell"

    def bid(self, view, memory, chance):
        rows, prices = np.arange(len(view.ids)), view.prices
        sells = rows < SELLERS
        limit = np.where(sells, prices.sell_eur_per_kwh[0] + 0.01, prices.energy_eur_per_kwh[0] - 0.01)
        return Orders(rows, np.where(sells, SELL, BUY).astype(np.int8), np.where(sells, 400, 300), limit)


@pytest.fixture
def build(tmp_path, short_runs):
    """Build smoke-v1 with bilateral trading, and a table of partners beside it if there is to be one."""

    def make(table: str | None = None, **market) -> Build:
        if table is not None:
            (tmp_path / "partners.csv").write_text(table)
            market["partners"] = "partners.csv"
        chosen = {"people.strategy": short_runs.plugin(ThreeSell), "operator.envelopes": "none"}
        chosen |= {f"market.{key}": value for key, value in {"mechanism": "bilateral", **market}.items()}
        scenario, _ = Scenario.load("smoke-v1", overrides=chosen)
        return Build(scenario, tmp_path, Switches(), {"plugins_of_the_tests": None})

    return make


@pytest.fixture
def traded(short_runs):
    """Play an interval, and return how much each pair of (seller, buyer) traded."""

    def play(build: Build) -> dict[tuple[str, str], int]:
        world = build.world()
        world.setting = replace(world.setting, intervals=1)
        (tables,) = short_runs.play(world)
        ids, trades = world.setting.ids, tables["trades"]
        pairs = zip(*(trades[name].tolist() for name in ("seller", "buyer", "energy_wh")), strict=True)
        return {(ids[seller], ids[buyer]): energy for seller, buyer, energy in pairs}

    return play


@pytest.fixture
def ids(build) -> tuple[str, ...]:
    """Return the prosumers of the scenario."""
    return build().world().setting.ids


def test_a_preference_changes_who_trades_with_whom(build, traded, ids):
    """Whichever of two sellers a buyer likes better by three cents serves it alone, for it has enough."""
    one, other, _, buyer, *_ = ids
    for liked, passed in ((one, other), (other, one)):
        found = traded(build(f"{HEAD}{buyer},{liked},0.03\n{buyer},{passed},0\n"))
        assert found == {(liked, buyer): pytest.approx(300, abs=1)}


def test_nobody_trades_outside_the_graph(build, traded, ids):
    """Sellers with buyers of the table only, and in its direction only; the others are left to the supplier."""
    table = {(ids[0], ids[5]), (ids[1], ids[5]), (ids[1], ids[6]), (ids[7], ids[2])}
    found = traded(build(HEAD + "".join(f"{buyer},{seller},0\n" for seller, buyer in sorted(table))))
    assert set(found) == table - {(ids[7], ids[2])}


def test_neighbours_trade_with_the_nearest(build, traded, ids):
    """With one partner each, everybody that trades does so with its nearest, or with one whose nearest it is."""
    community = build().world().setting
    near = nearest(community.truth.admittance(), community.community.bus, 1).rows[:, 0]
    either = {(ids[row], ids[other]) for row, other in enumerate(near.tolist())}
    found = traded(build(partners="neighbours", partner_count=1))
    assert found
    assert set(found) <= either | {pair[::-1] for pair in either}


def test_neighbours_of_a_feeder_are_the_nearest_along_it():
    """On the 33-bus feeder: along the trunk the next bus; partners go both ways, farther ones cost more."""
    feeder = load_feeder("ieee33_bw")
    bus = np.array([1, 2, 3, 17, 16])
    found = neighbours(PowerFlow(feeder).admittance(), bus, 1, 0.02)
    pairs = set(zip(found.seller.tolist(), found.buyer.tolist(), strict=True))
    assert pairs == {(0, 1), (1, 0), (1, 2), (2, 1), (3, 4), (4, 3)}
    impedance = np.hypot(feeder.network.r_ohm, feeder.network.x_ohm)
    cost = dict(
        zip(zip(found.seller.tolist(), found.buyer.tolist(), strict=True), found.buyer_cost_eur_per_kwh, strict=True)
    )
    # Lines 2-3, 3-4 and 17-18 of the feeder are its branches 1, 2 and 16.
    assert cost[0, 1] / cost[1, 2] == pytest.approx(impedance[1] / impedance[2], rel=1e-6)
    assert cost[0, 1] / cost[4, 3] == pytest.approx(impedance[1] / impedance[16], rel=1e-6)


def test_partners_at_one_bus_cost_nothing():
    """Where nobody is any distance away, there is nothing to mind; more neighbours than there are is all of them."""
    found = neighbours(PowerFlow(load_feeder("ieee33_bw")).admittance(), np.array([4, 4, 4]), 9, 0.05)
    assert len(found.seller) == 6
    assert not found.buyer_cost_eur_per_kwh.any()


def test_neighbours_of_separate_parts_are_of_their_own_part():
    """Two slacks feed two parts: nobody's neighbour is elsewhere, and every distance costs something that is finite."""
    admittance = PowerFlow(load_feeder("pandapower:mv_oberrhein")).admittance()
    bus = np.flatnonzero(admittance.energised)[::5]
    part = component_labels(admittance.size, *admittance.ybus.nonzero())[admittance.internal[bus]]
    assert len(set(part.tolist())) > 1
    found = neighbours(admittance, bus, 3, 0.02)
    assert (part[found.seller] == part[found.buyer]).all()
    assert np.isfinite(found.buyer_cost_eur_per_kwh).all()
    assert found.buyer_cost_eur_per_kwh.mean() > 0


def test_the_way_between_parts_leads_through_the_network_above():
    """Nearer or farther, the own part comes first; beyond it distances are the sum of both to their slacks."""
    admittance = PowerFlow(load_feeder("pandapower:mv_oberrhein")).admittance()
    feeder_bus = np.flatnonzero(admittance.energised)
    at, part = admittance.internal, component_labels(admittance.size, *admittance.ybus.nonzero())
    slack = [int(np.flatnonzero(at == ref)[0]) for ref in admittance.ref]
    one, other = (feeder_bus[part[at[feeder_bus]] == part[ref]][[20, 40]] for ref in admittance.ref[:2])
    near = nearest(admittance, np.concatenate([one, other, slack[:2]]), 5)
    assert [set(row) for row in near.rows[:, :2].tolist()] == [{1, 4}, {0, 4}, {3, 5}, {2, 5}, {0, 1}, {2, 3}]

    def apart(place: int, elsewhere: int) -> float:
        return float(near.distance[place][near.rows[place] == elsewhere][0])

    assert apart(0, 2) == pytest.approx(apart(0, 4) + apart(2, 5))
    assert apart(4, 5) == 0.0
    assert np.isfinite(near.mean)


@pytest.mark.parametrize("lit", [4, 2, 1, 0])
def test_who_has_no_voltage_is_nobodys_neighbour(lit):
    """However many are left, who is dark is partner of none, and partners are as if those lit were alone."""
    admittance = PowerFlow(load_feeder("ieee33_bw")).admittance()
    bus, dark = np.array([1, 2, 3, 17]), np.arange(4) >= lit
    internal = admittance.internal.copy()
    internal[bus[dark]] = -1
    found = neighbours(replace(admittance, internal=internal), bus, 9, 0.02)
    alone = neighbours(admittance, bus[:lit], 9, 0.02)
    np.testing.assert_array_equal(found.seller, alone.seller)
    np.testing.assert_array_equal(found.buyer_cost_eur_per_kwh, alone.buyer_cost_eur_per_kwh)
    assert len(found.seller) == lit * (lit - 1)


def test_a_bus_without_voltage_is_at_no_distance():
    """It is said, not taken for the last bus."""
    admittance = PowerFlow(load_feeder("ieee33_bw")).admittance()
    dark = replace(admittance, internal=np.where(np.arange(len(admittance.internal)) == 5, -1, admittance.internal))
    with pytest.raises(ValueError, match="without voltage"):
        nearest(dark, np.array([4, 5]), 1)


BAD = [
    ("buyer,seler\na,b\n", ["column 'seller'; it is missing", "unknown column; did you mean 'seller'?"]),
    (HEAD + "home-00,{0},0\n", ["line 2, buyer is 'home-00'; did you mean"]),
    (HEAD + "{0},{0},0\n", ["nobody is a partner of itself"]),
    (HEAD + "{0},{1},0\n{1},{0},0\n{0},{1},0.1\n", ["line 4", "stand there twice"]),
    (
        HEAD + "{0},{1},nan\n{1},{0},x\n",
        ["line 2, preference_eur_per_kwh is 'nan'", "line 3, preference_eur_per_kwh is 'x'"],
    ),
    (HEAD + "{0},{1},11\n", ["allowed is a price from -10 to 10"]),
    (HEAD + "{0},{1}\n", ["2 cells wide"]),
    (HEAD, ["at least one row below the header"]),
]


@pytest.mark.parametrize(("table", "said"), BAD)
def test_a_bad_table_is_said_before_the_run(build, ids, table, said):
    """Unknown prosumers, partners of themselves, pairs that stand there twice, what is no price: all faults at once."""
    with pytest.raises(BadInputError) as caught:
        build(table.format(*ids)).world()
    for words in said:
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("market", "said"),
    [
        ({"partners": "nowhere.csv"}, "no such file"),
        ({"partners": "../partners.csv"}, "scenario's own folder"),
        ({"partners": "neighbours", "mechanism": "uniform_price"}, "mechanism uniform_price takes no partners"),
    ],
)
def test_partners_that_cannot_be_are_said(build, market, said):
    """Files that are not there or elsewhere, and mechanisms that know no partners."""
    with pytest.raises(BadInputError, match=said):
        build(**market).world()


@pytest.mark.parametrize("market", [{"partner_count": 0}, {"partner_distance_eur_per_kwh": -0.1}])
def test_counts_and_distances_have_bounds(build, market):
    """No partner at all, and one that is worth more the farther it is, make no sense."""
    with pytest.raises(BadInputError):
        build(**market)


# ---------------------------------------------------------------------------------------------- cosim clear

BOOK = """trader,side,energy_kwh,limit_eur_per_kwh
anna,sell,1,0.10
bert,sell,1,0.10
carl,buy,0.8,0.30
"""


@pytest.fixture
def cleared(tmp_path, monkeypatch):
    """Clear the book with a table of partners."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.csv").write_text(BOOK)

    def call(table: str, *words: str):
        (tmp_path / "who.csv").write_text(table)
        return CliRunner().invoke(app, ["clear", "book.csv", "--partners", "who.csv", "--json", *words])

    return call


@pytest.mark.parametrize("liked", ["anna", "bert"])
def test_clear_minds_partners(cleared, liked):
    """The seller that the buyer prefers serves it, at a price between both limits."""
    rows = "".join(f"carl,{name},{0.05 * (name == liked)}\n" for name in ("anna", "bert"))
    told = cleared(HEAD + rows, "--mechanism", "bilateral")
    (trade,) = json.loads(told.stdout)["trades"]
    assert (trade["seller"], trade["buyer"]) == (liked, "carl")
    assert trade["energy_kwh"] == pytest.approx(0.8, abs=1e-3)
    assert 0.10 <= trade["price_eur_per_kwh"] <= 0.30


def test_a_seller_may_prefer_a_buyer(cleared):
    """A seller that minds its only buyer by more than there is to gain does not sell to it."""
    head = "buyer,seller,preference_eur_per_kwh,seller_preference_eur_per_kwh\n"
    told = cleared(f"{head}carl,anna,0,-0.25\ncarl,bert,0,-0.01\n", "--mechanism", "bilateral")
    assert {trade["seller"] for trade in json.loads(told.stdout)["trades"]} == {"bert"}


@pytest.mark.parametrize(
    ("table", "words", "said"),
    [
        ("buyer,seller\ncarl,ana\n", ("--mechanism", "bilateral"), "line 2, seller is 'ana'; did you mean 'anna'?"),
        ("buyer,seller\ncarl,anna\n", (), "--partners; mechanism uniform_price takes no partners"),
    ],
)
def test_clear_says_what_is_wrong(cleared, table, words, said):
    """Traders who are not in the book, and mechanisms that know no partners: exit code 2."""
    told = cleared(table, *words)
    assert told.exit_code == 2
    assert said in told.stderr
