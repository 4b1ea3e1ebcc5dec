"""The ledger: exact sums, the rules one by one, and an independent biller on random weeks."""

import runpy
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models.errors import SimulationError
from cosim.models.market.mechanism import Trades, void
from cosim.models.market.settlement import (
    MONEY_PER_EUR,
    Accounts,
    LedgerKind,
    SettlementPrices,
    energy_gap_wh,
    metered_loss_wh,
    settle,
)
from cosim.models.market.tariff import Prices

bill_eur = runpy.run_path(str(Path(__file__).with_name("biller.py")))["bill_eur"]
CENT = Decimal("0.01")
PRICES = SettlementPrices(0.30, 0.08, 0.30, 0.08, 0.10, 0.002, 0.06)


def trades_of(rows: list[tuple[int, int, int, float]]) -> Trades:
    seller, buyer, energy, price = np.array(rows, dtype=float).reshape(-1, 4).T
    return Trades(seller.astype(np.int64), buyer.astype(np.int64), energy.astype(np.int64), price)


@st.composite
def intervals(draw: st.DrawFn) -> dict:
    """One interval of a small market, with prices of either sign."""
    n = draw(st.integers(1, 7))
    wh, price = st.integers(-9000, 9000), st.integers(-200, 500).map(lambda value: value / 1000)
    row = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.integers(0, 5000), price)
    day = [draw(price) for _ in range(5)]
    return {
        "trades": trades_of(draw(st.lists(row, max_size=12))),
        "nominated_wh": np.array(draw(st.lists(wh, min_size=n, max_size=n))),
        "metered_wh": np.array(draw(st.lists(wh, min_size=n, max_size=n))),
        "passive_wh": draw(wh),
        "slack_wh": draw(wh),
        "prices": SettlementPrices(*day[:4], abs(draw(price)), abs(draw(price)), day[4]),
    }


def settled(interval: dict):
    fields = dict(interval)
    slack_wh = fields.pop("slack_wh")
    loss_wh = metered_loss_wh(fields["metered_wh"], fields["passive_wh"], slack_wh)
    return settle(**fields, loss_wh=loss_wh), Accounts(len(fields["metered_wh"]))


@settings(max_examples=200, deadline=None)
@given(intervals())
def test_money_and_energy_add_up_exactly(interval):
    """Money sums to zero over all accounts, energy follows every meter to the Wh, rows are sound."""
    ledger, accounts = settled(interval)
    assert int(ledger.balances(accounts).sum()) == 0
    assert energy_gap_wh(ledger, interval["metered_wh"], interval["passive_wh"], interval["slack_wh"]) == 0
    assert np.all(ledger.energy_wh > 0)
    assert np.all(np.diff(ledger.kind) >= 0)
    assert np.all(np.abs(ledger.money - ledger.energy_wh * ledger.price_eur_per_kwh * 100) <= 0.5 + 1e-6)
    columns = (ledger.kind, ledger.payer, ledger.payee, ledger.energy_wh, ledger.money)
    assert [column.dtype for column in columns] == [np.int8, *[np.dtype(np.int64)] * 4]


@settings(max_examples=100, deadline=None)
@given(intervals(), st.integers(1, 500))
def test_an_energy_gap_is_seen(interval, slip):
    """A ledger whose energy slips by some Wh anywhere among the energy kinds shows that very gap."""
    ledger, _ = settled(interval)
    meters = (interval["metered_wh"], interval["passive_wh"], interval["slack_wh"])
    for row in np.flatnonzero((ledger.kind <= LedgerKind.LOSS) & (ledger.payer != ledger.payee)):
        energy_wh = ledger.energy_wh.copy()
        energy_wh[row] += slip
        assert energy_gap_wh(replace(ledger, energy_wh=energy_wh), *meters) == slip


# One prosumer of two, a rule each: what it trades, nominates, meters -> rows (kind, partner, Wh, EUR/kWh).
RULES = [
    (
        "takes by contract",
        [],
        -1000,
        -1000,
        [("CONTRACT", 2, -1000, 0.30), ("NETWORK_CHARGE", 3, -1000, 0.10)],
    ),
    ("gives by contract", [], 1000, 1000, [("CONTRACT", 2, 1000, 0.08)]),
    ("gives one Wh", [], 1, 1, [("CONTRACT", 2, 1, 0.08)]),
    ("falls short", [], 0, -100, [("IMBALANCE", 2, -100, 0.39), ("NETWORK_CHARGE", 3, -100, 0.10)]),
    ("gives too much", [], 0, 100, [("IMBALANCE", 2, 100, 0.056)]),
    (
        "sells and keeps its word",
        [(0, 1, 500, 0.2)],
        500,
        500,
        [("TRADE", 1, 500, 0.2), ("MARKET_FEE", 4, -500, 0.002)],
    ),
    (
        "buys and takes more by contract",
        [(1, 0, 500, 0.2)],
        -700,
        -700,
        [
            ("TRADE", 1, -500, 0.2),
            ("CONTRACT", 2, -200, 0.30),
            ("NETWORK_CHARGE", 3, -700, 0.10),
            ("MARKET_FEE", 4, -500, 0.002),
        ],
    ),
    (
        "sells what it has not",
        [(0, 1, 500, 0.2)],
        0,
        0,
        [("TRADE", 1, 500, 0.2), ("CONTRACT", 2, -500, 0.30), ("MARKET_FEE", 4, -500, 0.002)],
    ),
]


@pytest.mark.parametrize(("case", "rows", "nominated", "metered", "expected"), RULES, ids=[rule[0] for rule in RULES])
def test_rules_of_a_prosumer(case, rows, nominated, metered, expected):
    """Each rule of the settlement by itself, with rows worked by hand (energy taken is negative)."""
    accounts = Accounts(2)
    ledger = settle(
        trades=trades_of(rows),
        nominated_wh=np.array([nominated, 0]),
        metered_wh=np.array([metered, 0]),
        passive_wh=0,
        loss_wh=0,
        prices=PRICES,
    )
    found = []
    for kind, payer, payee, energy, price in zip(
        ledger.kind, ledger.payer, ledger.payee, ledger.energy_wh, ledger.price_eur_per_kwh, strict=True
    ):
        if 0 in {payer, payee}:
            found.append((LedgerKind(kind).name, max(payer, payee), -energy if payer == 0 else energy, price))
    assert (accounts.supplier, accounts.operator, accounts.marketplace) == (2, 3, 4)
    assert [row[:3] for row in found] == [row[:3] for row in expected]
    assert [row[3] for row in found] == pytest.approx([row[3] for row in expected])


def test_passive_wholesale_and_losses():
    """Passive customers buy as everybody does; supplier and operator buy at day-ahead what they need."""
    metered = np.array([2000, -500])
    ledger = settle(
        trades=Trades.empty(),
        nominated_wh=metered,
        metered_wh=metered,
        passive_wh=-4000,
        loss_wh=120,
        prices=PRICES,
    )
    accounts = Accounts(2)
    passive, wholesale, loss, network = (
        ledger.of(kind)
        for kind in (LedgerKind.PASSIVE, LedgerKind.WHOLESALE, LedgerKind.LOSS, LedgerKind.NETWORK_CHARGE)
    )
    assert (passive.payer[0], passive.payee[0], passive.energy_wh[0]) == (
        accounts.passive,
        accounts.supplier,
        4000,
    )
    assert passive.money[0] == 1.2 * MONEY_PER_EUR
    assert (wholesale.payer[0], wholesale.payee[0]) == (accounts.supplier, accounts.upstream)
    assert (wholesale.energy_wh[0], wholesale.money[0]) == (2500, 0.15 * MONEY_PER_EUR)
    assert (loss.payer[0], loss.payee[0], loss.energy_wh[0], loss.money[0]) == (
        accounts.operator,
        accounts.upstream,
        120,
        720,
    )
    assert network.payer.tolist() == [1, accounts.passive]
    assert network.energy_wh.tolist() == [500, 4000]
    assert energy_gap_wh(ledger, metered, -4000, 2620) == 0


def test_a_surplus_feeder_sells_upstream():
    """When more is given than taken the supplier sells to upstream, and passive generation earns feed-in."""
    metered = np.array([2000])
    ledger = settle(
        trades=Trades.empty(),
        nominated_wh=metered,
        metered_wh=metered,
        passive_wh=300,
        loss_wh=0,
        prices=PRICES,
    )
    wholesale, passive = ledger.of(LedgerKind.WHOLESALE), ledger.of(LedgerKind.PASSIVE)
    assert (wholesale.payer[0], wholesale.payee[0], wholesale.energy_wh[0]) == (4, 1, 2300)
    assert (passive.payer[0], passive.payee[0], passive.price_eur_per_kwh[0]) == (1, 5, 0.08)
    assert len(ledger.of(LedgerKind.NETWORK_CHARGE)) == 0


@settings(max_examples=100, deadline=None)
@given(st.floats(-1, 1), st.floats(0, 1))
def test_imbalance_is_never_the_better_deal(energy, spread):
    """Short costs at least the energy price, long earns at most feed-in, whatever the signs of prices."""
    prices = replace(PRICES, energy_eur_per_kwh=energy, sell_eur_per_kwh=energy - spread)
    assert prices.long_eur_per_kwh <= prices.sell_eur_per_kwh <= prices.energy_eur_per_kwh <= prices.short_eur_per_kwh
    if energy - spread >= 0:
        assert prices.short_eur_per_kwh == pytest.approx(1.3 * energy)
        assert prices.long_eur_per_kwh == pytest.approx(0.7 * (energy - spread))


def test_columns_of_prices():
    """Prosumers under different tariffs: each row is settled at its own price."""
    prices = replace(PRICES, energy_eur_per_kwh=np.array([0.3, 0.2]), sell_eur_per_kwh=np.array([0.08, 0.05]))
    ledger = settle(
        trades=Trades.empty(),
        nominated_wh=np.array([-1000, -1000]),
        metered_wh=np.array([-1000, -900]),
        passive_wh=0,
        loss_wh=0,
        prices=prices,
    )
    assert ledger.of(LedgerKind.CONTRACT).money.tolist() == [30_000, 20_000]
    assert ledger.of(LedgerKind.IMBALANCE).price_eur_per_kwh.tolist() == pytest.approx([0.035])


def test_prices_of_a_tariff_step():
    """One step of a tariff's prices settles prosumers and passive customers alike."""
    columns = Prices(np.array([0.1, 0.3]), np.array([0.05, 0.08]), 0.10, 0.002)
    assert SettlementPrices.of(columns, 1, 0.06) == PRICES


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_nonsense_prices_stop_the_run(bad):
    """A price that is not a number never becomes an integer in the books."""
    with pytest.raises(SimulationError), np.errstate(over="ignore"):
        settle(
            trades=trades_of([(0, 1, 5, bad)]),
            nominated_wh=np.zeros(2, np.int64),
            metered_wh=np.zeros(2, np.int64),
            passive_wh=0,
            loss_wh=0,
            prices=PRICES,
        )


def test_amounts_beyond_exact_counting_stop_the_run():
    """Up to 2**53 - 1 units float64 counts exactly; from 2**53 on a row is refused instead of rounded."""

    def money(units: float) -> int:
        nothing = np.zeros(2, np.int64)
        rows = trades_of([(0, 1, 1, units / 100)])
        fields = {"nominated_wh": nothing, "metered_wh": nothing, "passive_wh": 0, "loss_wh": 0}
        return int(settle(trades=rows, **fields, prices=PRICES).of(LedgerKind.TRADE).money[0])

    assert money(2.0**52) == 2**52
    with pytest.raises(SimulationError):
        money(2.0**53)


def test_kinds_keep_their_numbers():
    """Ledgers are stored: the number of a kind never changes."""
    names = "TRADE CONTRACT IMBALANCE PASSIVE WHOLESALE LOSS NETWORK_CHARGE MARKET_FEE ROOM_DAY_AHEAD ROOM ROOM_TOP_UP"
    names += " TRADE_SPREAD LOSS_CHARGE"
    assert [(kind.name, kind.value) for kind in LedgerKind] == list(zip(names.split(), range(13), strict=True))


def test_account_names():
    """Every account has a name, in the order of its number."""
    accounts = Accounts(2)
    names = accounts.names(["a", "b"])
    numbers = (
        accounts.supplier,
        accounts.operator,
        accounts.marketplace,
        accounts.upstream,
        accounts.passive,
    )
    assert [names[number] for number in numbers] == [
        "supplier",
        "operator",
        "marketplace",
        "upstream",
        "passive",
    ]
    assert len(names) == accounts.count


@pytest.mark.parametrize("seed", range(3))
def test_an_independent_biller_agrees(seed):
    """Over a random week every account's money is within a cent of a biller that shares nothing with us."""
    chance = np.random.default_rng(seed)
    names = ["p0", "p1", "p2", "p3", "supplier", "operator", "marketplace", "upstream", "passive"]
    accounts, steps = Accounts(4), 672
    ours, theirs = np.zeros(accounts.count, np.int64), dict.fromkeys(names, Decimal(0))
    for _ in range(steps):
        interval, meters, trades = random_interval(chance)
        ledger, _ = settled(interval)
        ours += ledger.balances(accounts)
        told = told_prices(interval)
        for name in names:
            theirs[name] += bill_eur(name, told, meters, trades)
    for name, money in zip(names, ours.tolist(), strict=True):
        assert abs(Decimal(money) / MONEY_PER_EUR - theirs[name]) <= CENT, name


def told_prices(interval: dict) -> dict[str, Decimal]:
    """Tell the published price sheet and the slack meter, as decimals."""
    prices: SettlementPrices = interval["prices"]
    sheet = {
        "energy_price": prices.energy_eur_per_kwh,
        "feed_in_price": prices.sell_eur_per_kwh,
        "network_price": prices.network_charge_eur_per_kwh,
        "fee_price": prices.market_fee_eur_per_kwh,
        "day_ahead_price": prices.day_ahead_eur_per_kwh,
        "slack_wh": interval["slack_wh"],
    }
    return {key: Decimal(str(value)) for key, value in sheet.items()}


def random_interval(chance: np.random.Generator) -> tuple[dict, list[dict], list[dict]]:
    """One interval for us (columns) and the same for the biller (rows)."""
    energy, sell, day_ahead = (float(value) / 1000 for value in chance.integers([-50, -80, -90], [400, 120, 250]))
    nominated = chance.integers(-2500, 2500, 4)
    metered = nominated + chance.integers(-300, 300, 4)
    passive_wh = int(chance.integers(-9000, 500))
    rows = [
        (int(seller), int(buyer), int(chance.integers(1, 800)), int(chance.integers(20, 350)) / 1000)
        for seller, buyer in chance.integers(0, 4, (int(chance.integers(0, 5)), 2))
        if seller != buyer
    ]
    interval = {
        "trades": trades_of(rows),
        "nominated_wh": nominated,
        "metered_wh": metered,
        "passive_wh": passive_wh,
        "slack_wh": int(chance.integers(20, 400)) - int(metered.sum()) - passive_wh,
        "prices": SettlementPrices(energy, sell, energy, sell, 0.07, 0.002, day_ahead),
    }
    meters = [
        {"name": f"p{row}", "nominated_wh": int(nominated[row]), "metered_wh": int(metered[row])} for row in range(4)
    ]
    meters.append({"name": "passive", "nominated_wh": passive_wh, "metered_wh": passive_wh})
    trades = [
        {
            "seller": f"p{seller}",
            "buyer": f"p{buyer}",
            "energy_wh": energy,
            "eur_per_wh": Decimal(str(price)) / 1000,
        }
        for seller, buyer, energy, price in rows
    ]
    return interval, meters, trades


@settings(max_examples=200, deadline=None)
@given(intervals(), st.data())
def test_void_obeys_limits_and_increases_nobody(interval, data):
    """Nobody is left beyond a limit, no trade grows, those within limits keep all, twice is once."""
    trades, n = interval["trades"], len(interval["metered_wh"])
    limits = st.lists(st.integers(-10, 9000), min_size=n, max_size=n).map(np.array)
    sold_limit, bought_limit = data.draw(limits), data.draw(limits)
    kept = void(trades, sold_limit, bought_limit)
    assert np.all(kept.sold_wh(n) <= np.maximum(sold_limit, 0))
    assert np.all(kept.bought_wh(n) <= np.maximum(bought_limit, 0))
    assert int(kept.position_wh(n).sum()) == 0
    assert np.all((kept.energy_wh >= 0) & (kept.energy_wh <= trades.energy_wh))
    fine = (trades.sold_wh(n) <= sold_limit)[trades.seller] & (trades.bought_wh(n) <= bought_limit)[trades.buyer]
    assert kept.energy_wh[fine].tolist() == trades.energy_wh[fine].tolist()
    assert kept.price_eur_per_kwh is trades.price_eur_per_kwh
    assert void(kept, sold_limit, bought_limit).energy_wh.tolist() == kept.energy_wh.tolist()


@settings(max_examples=100, deadline=None)
@given(intervals(), st.data())
def test_what_buyers_pay_beyond_what_sellers_get_is_the_marketplaces(interval, data):
    """Spreads of either sign move money between buyers and the marketplace alone, to the unit, and no energy."""
    trades = interval["trades"]
    spread = st.integers(-50, 50).map(lambda value: value / 1000)
    spreads = np.array(data.draw(st.lists(spread, min_size=len(trades), max_size=len(trades))), dtype=float)
    plain, accounts = settled(interval)
    ledger, _ = settled({**interval, "trades": replace(trades, spread_eur_per_kwh=spreads)})
    assert int(ledger.balances(accounts).sum()) == 0
    assert ledger.energy_balances(accounts).tolist() == plain.energy_balances(accounts).tolist()
    moved = ledger.balances(accounts) - plain.balances(accounts)
    amounts = np.rint(trades.energy_wh * spreads * 100).astype(np.int64)
    expected = np.zeros(accounts.count, np.int64)
    np.subtract.at(expected, trades.buyer, amounts)
    expected[accounts.marketplace] = amounts.sum()
    assert moved.tolist() == expected.tolist()
    assert np.all(np.diff(ledger.kind) >= 0)


def test_void_cuts_the_marketplaces_share_with_the_trade():
    """A trade cut to half keeps both prices: what the marketplace keeps of it halves too."""
    whole = replace(trades_of([(0, 1, 100, 0.2)]), spread_eur_per_kwh=np.array([0.05]))
    kept = void(whole, np.array([50, 0]), np.array([0, 100]))
    assert kept.spread_eur_per_kwh.tolist() == [0.05]
    assert (whole.budget_eur, kept.budget_eur) == (pytest.approx(0.005), pytest.approx(0.0025))


def test_void_is_pro_rata():
    """A seller cut to half delivers half to each; a trade cut from both ends keeps the smaller part."""
    trades = trades_of([(0, 1, 100, 0.2), (0, 2, 300, 0.2), (3, 2, 100, 0.2)])
    unlimited = np.full(4, 10**9)
    assert void(trades, np.array([200, 0, 0, 200]), unlimited).energy_wh.tolist() == [50, 150, 100]
    kept = void(trades, np.array([200, 0, 0, 200]), np.array([0, 100, 100, 0]))
    assert kept.energy_wh.tolist() == [50, 75, 25]
