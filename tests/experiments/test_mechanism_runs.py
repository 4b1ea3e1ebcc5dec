"""Every mechanism in a short co-simulation: it trades, money adds up to zero, and nothing is noted against it."""

import numpy as np
import pytest

from cosim.agents.prosumer.bidding.strategy import CohortStrategy
from cosim.experiments.plugins import registries
from cosim.models.market.ledger import LedgerKind
from cosim.models.market.order import BUY, SELL, Orders
from cosim.models.market.settlement import Accounts
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


def test_the_fee_reaches_the_mechanism(played):
    """With a fee the ratio's price still leaves sellers the feed-in price and that fee."""
    _, (table,), _ = played("supply_demand_ratio", 1, market__fee_eur_per_kwh=0.01)
    assert table["trades"]["price_eur_per_kwh"].min() >= table["intervals"]["sell_eur_per_kwh"][0] + 0.01 - 1e-12
