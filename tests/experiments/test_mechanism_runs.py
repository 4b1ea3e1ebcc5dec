"""Every mechanism in a short co-simulation: it trades, money adds up to zero, and nothing is noted against it."""

from functools import partial

import numpy as np
import pytest

from cosim.agents.prosumer.bidding.strategy import CohortStrategy
from cosim.experiments.emergence_welfare import at_the_slack, worth_of_books
from cosim.experiments.plugins import registries
from cosim.experiments.studies.mechanism_runs import budget_eur, fees_eur
from cosim.models.market.ledger import LedgerKind
from cosim.models.market.order import BUY, SELL, Orders
from cosim.models.market.settlement import Accounts
from cosim.models.optimisation.pairwise import agree
from cosim.models.step import PassiveLoad
from cosim.views import LossView

NAMES = sorted(registries()["mechanism"].built_in)
SPREADS = {"vcg": -1, "huang": 1, "mcafee": 1}
"""What the marketplace does with a difference: adds it, or keeps it."""


class HalfAndHalf(CohortStrategy):
    """Sell and buy by turns, whatever one has, a little dearer each: every mechanism finds somebody to match."""

    name = "half_and_half"

    def bid(self, view, memory, chance):
        rows = np.arange(len(view.ids))
        side = np.where(rows % 2, SELL, BUY).astype(np.int8)
        room = view.prices.energy_eur_per_kwh[0] - view.prices.sell_eur_per_kwh[0]
        fee = view.prices.market_fee_eur_per_kwh
        step = fee + 0.3 * room * rows / len(rows)
        limit = np.where(side == SELL, view.prices.sell_eur_per_kwh[0] + step, view.prices.energy_eur_per_kwh[0] - step)
        return Orders(rows, side, np.where(side == SELL, 200, 500) + 10 * rows, limit)


@pytest.fixture
def played(short_runs):
    """Play some intervals under a mechanism; return world, tables and events."""

    def play(name, intervals=3, **overrides):
        strategy = short_runs.plugin(HalfAndHalf)
        overrides = {"people__strategy": strategy, "operator__envelopes": "none", **overrides}
        world = short_runs.world(intervals, market__mechanism=name, **overrides)
        events, settled = [], world.settled
        world.settled = lambda: events.extend(world.guard.events) or settled()
        return world, short_runs.play(world), events

    return play


@pytest.mark.parametrize("name", NAMES)
def test_a_run_trades_and_its_money_adds_up(played, name):
    """In every interval somebody trades, and money sums to zero over all accounts, to the unit."""
    world, tables, events = played(name)
    accounts = Accounts(len(world.setting.ids))
    assert [event for event in events if event.agent == "marketplace"] == []
    for table in tables:
        ledger = table["ledger"]
        gained = np.zeros(accounts.count, np.int64)
        np.add.at(gained, ledger["payee"], ledger["money"])
        np.subtract.at(gained, ledger["payer"], ledger["money"])
        assert gained.sum() == 0
        assert gained[: accounts.prosumers].tolist() == table["prosumers"]["money"].tolist()
        assert table["trades"]["energy_wh"].sum() > 0
        spread = ledger["money"][ledger["kind"] == LedgerKind.TRADE_SPREAD]
        assert np.all(spread * SPREADS.get(name, 0) >= 0)
        assert name in {*SPREADS, "pay_as_bid"} or not len(spread)
    assert len(tables) == 3


def test_the_marketplace_pays_for_vcg(played):
    """What buyers pay less than sellers get stands on the marketplace's account, and in the table of trades."""
    _, (table,), _ = played("vcg", 1)
    ledger, trades = table["ledger"], table["trades"]
    added = -ledger["money"][ledger["kind"] == LedgerKind.TRADE_SPREAD].sum() / 1e5
    assert added > 0
    assert added == pytest.approx(-(trades["energy_wh"] * trades["spread_eur_per_kwh"]).sum() / 1000, abs=1e-4)


FEE, CHARGE = 0.01, 0.09


@pytest.mark.parametrize("losses", ["operator", "marginal"])
@pytest.mark.parametrize("name", NAMES)
def test_fees_and_losses_are_in_matching_and_in_every_price(played, name, losses):
    """Under every mechanism nobody trades at a price that, all that is charged on it paid, is worse than the supplier.

    Limits are beyond what fees leave, so whoever trades keeps them, whatever the mechanism; those that do not ask for
    limits aside. All charges reach their accounts: the fee on what is traded, the network charge on what is metered,
    and the price of losses as far as the two ends of a trade differ in it.
    """
    fees = {"market__fee_eur_per_kwh": FEE, "tariff__network_charge_eur_per_kwh": CHARGE, "market__losses": losses}
    _, (table,), events = played(name, 1, **fees)
    trades, ledger, hour = table["trades"], table["ledger"], table["intervals"]
    assert len(trades["energy_wh"]) > 0
    assert [event for event in events if event.agent in {"marketplace", "operator"}] == []
    got = trades["price_eur_per_kwh"] - FEE
    paid = trades["price_eur_per_kwh"] + trades["spread_eur_per_kwh"] + FEE
    if name != "bill_sharing":
        assert got.min() >= hour["sell_eur_per_kwh"][0] - 1e-12
        assert paid.max() <= hour["energy_eur_per_kwh"][0] + 1e-12

    def charged(kind: LedgerKind) -> int:
        return int(ledger["money"][ledger["kind"] == kind].sum())

    metered = table["prosumers"]["metered_wh"]
    rounding = len(ledger["kind"])
    assert charged(LedgerKind.MARKET_FEE) == pytest.approx(2 * trades["energy_wh"].sum() * FEE * 100, abs=rounding)
    assert charged(LedgerKind.NETWORK_CHARGE) >= -metered[metered < 0].sum() * CHARGE * 100 - rounding
    spread = (trades["energy_wh"] * trades["spread_eur_per_kwh"]).sum() * 100
    both = charged(LedgerKind.TRADE_SPREAD) + charged(LedgerKind.LOSS_CHARGE)
    assert both == pytest.approx(spread, abs=rounding)
    if losses == "operator":
        assert charged(LedgerKind.LOSS_CHARGE) == 0
    elif name not in SPREADS:
        assert charged(LedgerKind.LOSS_CHARGE) == pytest.approx(spread, abs=rounding)
        assert (ledger["kind"] == LedgerKind.LOSS_CHARGE).any()


def test_the_operator_prices_losses_by_what_a_kwh_more_adds(played):
    """Against the power flow itself: a hundredth of a kW more at a connection, and what is lost then."""
    world, _, _ = played("uniform_price", 1, market__losses="marginal")
    operator, community = world.cast.operator, world.setting.community
    none, passive = np.zeros(len(world.setting.ids)), np.full(community.buses, -20.0)
    view = LossView(world.setting.interval(0), none - 1.0, none, passive, 0.3 * passive, 0.25)
    told = operator.loss_price(view).eur_per_kwh
    step = 0.01 * np.eye(len(none))

    def lost_kw(net_kw: np.ndarray) -> float:
        return operator.office.solve(net_kw, none, PassiveLoad(passive, 0.3 * passive)).loss_kw

    slope = [(lost_kw(view.net_kw + more) - lost_kw(view.net_kw - more)) / 0.02 for more in step]
    np.testing.assert_allclose(told, 0.25 * np.array(slope), rtol=1e-4, atol=1e-9)
    assert told.max() < 0  # everybody draws power: whoever feeds in saves losses


@pytest.mark.parametrize("lead", [0, 1, 2])
def test_losses_are_priced_at_what_was_nominated_for_the_interval_before(short_runs, lead):
    """Whether that interval is over when the gate closes or still to come; only the first one knows of nobody."""
    world = short_runs.world(4, market__losses="marginal", market__gate_lead_intervals=lead)
    seen, asked = [], world.cast.operator.loss_price
    world.cast.operator.loss_price = lambda view: seen.append(view) or asked(view)
    tables = short_runs.play(world)
    assert [view.interval.index for view in seen] == [0, 1, 2, 3]
    assert not seen[0].net_kw.any()
    for view, before in zip(seen[1:], tables, strict=False):
        np.testing.assert_array_equal(view.net_kw, before["prosumers"]["nominated_kw"])
        assert view.net_kw.any()
    assert not world.state.loss_prices


def test_what_is_priced_stands_in_the_tables_only_where_it_is_priced(played):
    """The operator's part of each trade, and what was told; books are matched to the best by limits at the slack."""
    _, (plain,), _ = played("uniform_price", 1)
    assert not any("loss_eur_per_kwh" in plain[name] for name in ("trades", "prosumers"))
    world, (table,), _ = played("uniform_price", 1, market__losses="marginal", market__record_orders=True)
    trades, told, ledger = table["trades"], table["prosumers"]["loss_eur_per_kwh"], table["ledger"]
    part = trades["loss_eur_per_kwh"]
    np.testing.assert_allclose(part, told[trades["seller"]] - told[trades["buyer"]], atol=1e-15)
    charged = ledger["money"][ledger["kind"] == LedgerKind.LOSS_CHARGE].sum()
    assert charged == pytest.approx((trades["energy_wh"] * part).sum() * 100, abs=len(part))
    assert np.abs(part).max() > 0
    assert budget_eur(trades) == pytest.approx(0.0, abs=1e-9)
    orders = {"interval": np.zeros(len(table["orders"]["prosumer"]), np.int64), **table["orders"]}
    dated = {"interval": np.zeros(len(part), np.int64), **trades}
    at_slack = at_the_slack(orders, table["prosumers"], len(world.setting.ids))
    assert worth_of_books(at_slack, dated, 1).efficiency == pytest.approx(1.0)
    assert at_the_slack(orders, plain["prosumers"], len(world.setting.ids)) is orders


def test_budgets_and_fees_by_hand():
    """2 kWh at a spread of 3 cents, of which 1 is for losses, leave 4 cents; both sides pay the fee."""
    trades = {
        "seller": np.array([0, 1]),
        "buyer": np.array([1, 2]),
        "energy_wh": np.array([2000, 500]),
        "spread_eur_per_kwh": np.array([0.03, 0.0]),
    }
    assert budget_eur(trades) == pytest.approx(0.06)
    assert budget_eur({**trades, "loss_eur_per_kwh": np.array([0.01, 0.0])}) == pytest.approx(0.04)
    np.testing.assert_allclose(fees_eur(trades, 4, 0.002), [0.004, 0.005, 0.001, 0.0])


def test_a_negotiation_that_does_not_settle_is_an_event(played, monkeypatch):
    """What pairs have agreed on by then trades, and a line in the table of events says so."""
    monkeypatch.setattr("cosim.models.market.bilateral.agree", partial(agree, rounds=7))
    chosen = {"market__partners": "neighbours", "market__partner_count": 9}
    _, (table,), events = played("bilateral", 1, **chosen)
    (event,) = [event for event in events if event.agent == "marketplace"]
    assert event.cause == "bilateral_unsettled"
    assert "within 7 rounds" in event.detail
    assert table["trades"]["energy_wh"].sum() > 0


def test_the_fee_reaches_the_mechanism(played):
    """With a fee the ratio's price still leaves sellers the feed-in price and that fee."""
    _, (table,), _ = played("supply_demand_ratio", 1, market__fee_eur_per_kwh=0.01)
    assert table["trades"]["price_eur_per_kwh"].min() >= table["intervals"]["sell_eur_per_kwh"][0] + 0.01 - 1e-12
