"""What emerged in a run: measures on tables made by hand, and on runs of ten prosumers."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import cosim
from cosim.experiments.emergence import emergence_rows
from cosim.experiments.emergence_distance import AlongTree, Table, _table, distances
from cosim.experiments.emergence_graph import graph_figures, locality_figures, trade_graph
from cosim.experiments.emergence_measures import (
    gini,
    herfindahl,
    jain,
    market_gain_eur,
    price_dispersion_eur_per_kwh,
    price_figures,
)
from cosim.experiments.emergence_welfare import at_the_slack, best_eur, grid_awareness, traded_eur, worth_of_books
from cosim.models.errors import BadInputError
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.topology import is_radial, islands
from cosim.models.market.order import BUY, SELL, Orders

AMOUNTS = arrays(np.float64, st.integers(1, 20), elements=st.floats(0.0, 1e6).map(lambda x: round(x, 3)))


def table(**columns) -> dict[str, np.ndarray]:
    """Return lists as columns."""
    return {name: np.array(column) for name, column in columns.items()}


# Offers of 1 kWh at 0.10 and 0.20 (prosumers 0, 1), bids of 1 kWh at 0.30 and 0.15 (2, 3).
BOOK = Orders(
    np.array([0, 1, 2, 3]),
    np.array([SELL, SELL, BUY, BUY], np.int8),
    np.array([1000, 1000, 1000, 1000]),
    np.array([0.10, 0.20, 0.30, 0.15]),
)


def test_the_best_of_a_book_by_hand():
    """Only the first offer and the first bid are worth a trade: 0.30 - 0.10 for one kWh."""
    assert best_eur(BOOK) == pytest.approx(0.20)
    assert best_eur(Orders.empty()) == 0.0
    assert best_eur(BOOK.take(BOOK.side == SELL)) == 0.0


def test_trades_are_worth_their_limits():
    """The dear offer sold to the high bid makes 0.10, sold to the low bid it loses 0.05; half a kWh makes half."""
    one = np.array([1])
    assert traded_eur(BOOK, one, np.array([2]), np.array([1000])) == pytest.approx(0.10)
    assert traded_eur(BOOK, one, np.array([3]), np.array([1000])) == pytest.approx(-0.05)
    assert traded_eur(BOOK, np.array([0]), np.array([2]), np.array([500])) == pytest.approx(0.10)


def test_who_has_several_orders_fills_the_most_eager_first():
    """One seller with 1 kWh at 0.10 and at 0.20, listed the other way round, sells 1.5 kWh to a bid at 0.30."""
    several = Orders(
        np.array([4, 4, 7]),
        np.array([SELL, SELL, BUY], np.int8),
        np.array([1000, 1000, 2000]),
        np.array([0.20, 0.10, 0.30]),
    )
    traded = traded_eur(several, np.array([4, 4]), np.array([7, 7]), np.array([1000, 500]))
    assert traded == pytest.approx(1.0 * 0.20 + 0.5 * 0.10)
    assert best_eur(several) == pytest.approx(1.0 * 0.20 + 1.0 * 0.10)


def test_efficiency_of_a_run_by_hand():
    """Interval 0 trades the dear offer instead of the cheap one, 1 has no book, 2 does its best: 0.30 of 0.40 EUR."""
    orders = table(
        interval=[0] * 4 + [2] * 4,
        prosumer=[0, 1, 2, 3] * 2,
        side=[1, 1, -1, -1] * 2,
        energy_wh=[1000] * 8,
        limit_eur_per_kwh=[0.10, 0.20, 0.30, 0.15] * 2,
    )
    trades = table(interval=[0, 2], seller=[1, 0], buyer=[2, 2], energy_wh=[1000, 1000])
    worth = worth_of_books(orders, trades, 3)
    np.testing.assert_allclose(worth.best_eur, [0.20, 0.0, 0.20])
    np.testing.assert_allclose(worth.traded_eur, [0.10, 0.0, 0.20], atol=1e-12)
    assert worth.efficiency == pytest.approx(0.75)
    assert worth.within(1, 2).efficiency is None


def test_limits_at_the_slack_by_hand():
    """A limit where a kWh fed in costs 2 cents in losses is 2 cents higher at the slack, interval by interval."""
    orders = table(interval=[0, 1], prosumer=[1, 0], side=[1, -1], energy_wh=[1, 1], limit_eur_per_kwh=[0.10, 0.20])
    people = table(interval=[0, 0, 1, 1], prosumer=[0, 1, 0, 1], loss_eur_per_kwh=[0.0, 0.02, -0.01, 0.0])
    np.testing.assert_allclose(at_the_slack(orders, people, 2)["limit_eur_per_kwh"], [0.12, 0.19])


def test_inequality_by_hand():
    """Known cases: equals, one who has all, and 1, 2, 3, 4."""
    four = np.array([4.0, 1.0, 3.0, 2.0])
    assert gini(four) == pytest.approx(0.25)
    assert jain(four) == pytest.approx(100 / (4 * 30))
    assert herfindahl(four) == pytest.approx(0.3)
    for measure, value in ((gini, 0.0), (jain, 1.0), (herfindahl, 0.2)):
        assert measure(np.full(5, 7.0)) == pytest.approx(value)
        assert measure(np.zeros(3)) is None
        with pytest.raises(ValueError, match="negative"):
            measure(np.array([1.0, -1.0]))


@settings(max_examples=60, deadline=None)
@given(amounts=AMOUNTS, scale=st.floats(0.1, 100.0))
def test_inequality_knows_neither_order_nor_currency(amounts, scale):
    """Permuted and scaled amounts are as unequal; Gini is half the mean difference over the mean; all are in bounds."""
    if amounts.sum() == 0.0:
        return
    for measure in (gini, jain, herfindahl):
        assert measure(scale * amounts[::-1]) == pytest.approx(measure(amounts), abs=1e-9)
    count, pairs = len(amounts), np.abs(np.subtract.outer(amounts, amounts)).mean()
    assert gini(amounts) == pytest.approx(pairs / (2 * amounts.mean()), abs=1e-9)
    assert -1e-9 <= gini(amounts) <= 1 - 1 / count + 1e-9
    assert 1 / count - 1e-9 <= jain(amounts) <= 1 + 1e-9
    assert 1 / count - 1e-9 <= herfindahl(amounts) <= 1 + 1e-9


def test_price_figures_by_hand():
    """Prices 0.10, none, 0.20, 0.10: the mean by energy, the spread, and that of the changes +0.10 and -0.10."""
    price, energy = np.array([0.10, np.nan, 0.20, 0.10]), np.array([1000.0, 0.0, 2000.0, 1000.0])
    told = price_figures(price, energy, (np.zeros(4), np.full(4, 0.40)))
    assert told["price_mean_eur_per_kwh"] == pytest.approx(0.15)
    assert told["price_sd_eur_per_kwh"] == pytest.approx(np.std([0.1, 0.2, 0.1]))
    assert told["price_volatility_eur_per_kwh"] == pytest.approx(0.10)
    assert told["price_in_band_share"] == pytest.approx(0.15 / 0.40)
    nothing = price_figures(np.full(4, np.nan), np.zeros(4), (np.zeros(4), np.ones(4)))
    assert set(nothing.values()) == {None}


def test_dispersion_is_within_intervals():
    """Different prices of different intervals do not count; 0.10 and 0.20 of one interval lie 0.05 from their mean."""
    interval, energy = np.array([0, 0, 1]), np.array([1000, 1000, 2000])
    assert price_dispersion_eur_per_kwh(interval, np.array([0.1, 0.1, 0.3]), energy) == 0.0
    assert price_dispersion_eur_per_kwh(interval, np.array([0.1, 0.2, 0.3]), energy) == pytest.approx(0.05 / np.sqrt(2))
    assert price_dispersion_eur_per_kwh(interval[:0], np.empty(0), energy[:0]) is None


def test_gain_by_hand():
    """2 kWh at 0.15 between 0.05 and 0.30, with 0.01 for the marketplace: 0.20 for the seller, 0.28 for the buyer."""
    trades = table(seller=[1], buyer=[0], energy_wh=[2000], price_eur_per_kwh=[0.15], spread_eur_per_kwh=[0.01])
    gain = market_gain_eur(3, trades, np.array([0.05]), np.array([0.30]))
    np.testing.assert_allclose(gain, [2 * (0.30 - 0.16), 2 * (0.15 - 0.05), 0.0])


def test_trade_graph_by_hand():
    """0 and 1 sell to each other, 0 also to 2: 3 of 12 pairs, two of them both ways; a trade with oneself is none."""
    graph = trade_graph(4, np.array([0, 1, 0, 0, 3]), np.array([1, 0, 2, 1, 3]), np.array([5, 5, 10, 5, 9]))
    assert graph[0][1]["energy_wh"] == 10
    told = graph_figures(graph)
    assert told["trade_density_share"] == pytest.approx(3 / 12)
    assert told["trade_reciprocity_share"] == pytest.approx(2 / 3)
    assert told["trade_partners_mean"] == pytest.approx((2 + 1 + 1) / 3)
    assert graph_figures(trade_graph(4, *np.empty((3, 0), np.int64)))["trade_density_share"] == 0.0


def test_locality_by_hand():
    """Two pairs of neighbours at depths 1 and 5, 4 branches apart, trade among themselves: as local as can be."""
    depth = np.array([1.0, 1.0, 5.0, 5.0])
    branches = Table(np.abs(np.subtract.outer(depth, depth)))
    local = trade_graph(4, np.array([0, 2]), np.array([1, 3]), np.array([1000, 1000]))
    told = locality_figures(local, branches, depth)
    assert told["trade_distance_mean_branches"] == 0.0
    assert told["trade_distance_ratio"] == 0.0
    assert told["trade_assortativity"] == pytest.approx(1.0)
    across = trade_graph(4, np.array([0, 2]), np.array([3, 1]), np.array([1000, 1000]))
    told = locality_figures(across, branches, depth)
    assert told["trade_distance_mean_branches"] == 4.0
    assert told["trade_distance_ratio"] == pytest.approx(2.0)
    assert told["trade_assortativity"] == pytest.approx(-1.0)
    assert set(locality_figures(trade_graph(4, *np.empty((3, 0), np.int64)), branches, depth).values()) == {None}


def test_distances_are_counted_along_closed_branches():
    """On the 33-bus feeder 17 branches lie between the slack and bus 18, 5 to bus 22; the two ways part at bus 2."""
    feeder = load_feeder("ieee33_bw")
    between, depth = distances(feeder, feeder.bus_positions(np.array([18, 22, 18])))
    assert depth.tolist() == [17.0, 5.0, 17.0]
    assert between.pairs(np.array([0, 1, 0]), np.array([1, 0, 2])).tolist() == [16 + 4, 16 + 4, 0]


@pytest.mark.parametrize("name", ["ieee69", "pandapower:create_cigre_network_lv", "pandapower:mv_oberrhein"])
def test_distances_along_a_tree_are_those_of_the_table(name):
    """Climbing a tree and searching all shortest paths count the same branches, for pairs and for all at once."""
    feeder, chance = load_feeder(name), np.random.default_rng(7)
    if not is_radial(feeder):
        pytest.skip("meshed: there is no tree to climb")
    bus = chance.permutation(np.flatnonzero(islands(feeder)))[:30]
    bus = np.append(bus, bus[:3])
    along, (table, depth) = AlongTree.of(feeder, bus), _table(feeder, bus)
    one, other = (ends.ravel() for ends in np.indices((len(bus), len(bus))))
    finite = np.isfinite(table.pairs(one, other))
    np.testing.assert_array_equal(along.pairs(one, other)[finite], table.pairs(one, other)[finite])
    np.testing.assert_array_equal(along.depth[bus], depth)
    if finite.all():
        sold, bought = chance.uniform(size=(2, len(bus)))
        assert along.mixed(sold, bought) == pytest.approx(table.mixed(sold, bought))


def test_grid_awareness_by_hand():
    """With envelopes 3 EUR more on 30, 6 of 8 violations less: a tenth, and half a euro for each."""
    without = {
        "prosumer_cost_eur": 20.0,
        "dso_cost_eur": 10.0,
        "violation_bus_intervals": 7,
        "overloaded_branch_intervals": 1,
        "curtailed_kwh": 0.0,
    }
    envelopes = without | {"prosumer_cost_eur": 23.0, "violation_bus_intervals": 1, "curtailed_kwh": 4.0}
    told = grid_awareness(envelopes, without)
    assert told == {
        "grid_awareness_eur": 3.0,
        "grid_awareness_share": 0.1,
        "grid_awareness_avoided_violations": 6.0,
        "grid_awareness_eur_per_violation": 0.5,
        "grid_awareness_curtailed_kwh": 4.0,
    }
    assert grid_awareness(without, without)["grid_awareness_eur_per_violation"] is None


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, cosim.Run]:
    """Return a truthful day with its books, the same one without them, and one without envelopes."""
    folder = tmp_path_factory.mktemp("emergence")
    how = {
        "books": {"overrides": {"market.record_orders": True}},
        "plain": {},
        "free": {"envelopes": False},
    }
    return {name: cosim.run("smoke-v1", out=folder / name, strategy="truthful", **more) for name, more in how.items()}


def test_recording_books_changes_nothing_else(runs):
    """Without books the result hash is another one, because a table is missing; every other table is the same."""
    assert set(runs["books"].tables) - set(runs["plain"].tables) == {"orders"}
    for name in ("trades", "ledger", "prosumers"):
        assert runs["books"].table(name).equals(runs["plain"].table(name))
    orders = runs["books"].table("orders")
    assert set(orders["side"]) == {-1, 1}
    assert (orders["energy_wh"] > 0).all()


def test_a_run_says_what_emerged(runs):
    """Truthful traders in a uniform-price auction find all gains; a second run adds the price of grid-awareness."""
    told = runs["books"].emergence(runs["free"])
    json.dumps(told, allow_nan=False)
    assert told["book_efficiency_share"] == pytest.approx(1.0)
    assert 0.0 < told["price_in_band_share"] < 1.0
    assert told["price_dispersion_eur_per_kwh"] == 0.0
    assert told["gain_eur"] > told["book_traded_eur"] > 0.0
    assert told["traded_kwh"] == pytest.approx(runs["books"].summary["traded_kwh"])
    assert 0.0 <= told["trade_density_share"] <= 1.0
    assert told["trade_distance_mean_branches"] > 0.0
    assert "grid_awareness_eur" in told
    assert len(told["days"]) == 1
    assert told["days"][0]["gain_eur"] == pytest.approx(told["gain_eur"])


def test_without_books_there_is_no_efficiency(runs):
    """What was not recorded is missing; everything else is the same, and the report shows what there is."""
    with_books, without = runs["books"].emergence(), runs["plain"].emergence()
    assert "book_efficiency_share" not in without
    assert {key for key in with_books if with_books[key] != without.get(key)} == {
        "book_best_eur",
        "book_traded_eur",
        "book_efficiency_share",
        "days",
    }
    shown = {row.figure.key: row.value for row in emergence_rows(with_books)}
    assert shown["book_efficiency_share"] == "1.000"
    assert "Gini" in runs["plain"].report().read_text()


def test_only_runs_that_belong_together_are_compared(runs):
    """A second run with envelopes, or of another seed, is bad input."""
    with pytest.raises(BadInputError, match="it was run with envelopes"):
        runs["books"].emergence(runs["plain"])
    other = cosim.Run(runs["free"].folder)
    other.manifest = json.loads(json.dumps(other.manifest))
    other.manifest["scenario"]["seed"] = 7
    with pytest.raises(BadInputError, match="seed differ"):
        runs["books"].emergence(other)
