"""Letters that are lost, late, doubled or overtaken, and actors that are silent: who goes by what, and what holds."""

import numpy as np
import pytest

from cosim.experiments.build import Switches
from cosim.faults import Faults, Silence, Span
from cosim.messages import Fills, OrderBatch, RoomProgress
from cosim.models.market.ledger import Accounts, LedgerKind
from cosim.models.market.order import BUY, SELL, Orders
from cosim.models.optimisation.consensus import Norms
from cosim.post import Channel, Lines, Post
from cosim.randomness import Chance

IDS = [f"home-{row}" for row in range(200)]
CHANNELS = ("operator", "market", "negotiation", "meter")
MONEY_AND_POWER = ("prosumers", "trades", "ledger", "buses", "branches")
NEGOTIATED = {"operator__envelopes": "negotiated", "negotiation__rounds": 3, "negotiation__day_rounds": 3}
TRADING = {"people__strategy": "predictive"}


def chance(purpose: str, index: int) -> np.ndarray:
    """Return each row's chance by its id."""
    return Chance(3).uniforms(IDS, purpose, index, 1)[:, 0]


def post(name: str = "market", window_s: float = 0.0, faults: Faults | None = None, **befalls) -> Post:
    """Return a post whose letters on one channel meet something."""
    kinds = ("Fills", "OrderBatch")
    return Post(lines=Lines(chance, {name: Channel(**befalls)}, dict.fromkeys(kinds, window_s), faults or Faults()))


def fills(interval: int = 0) -> Fills:
    """Return a letter to everybody."""
    return Fills(interval, np.arange(len(IDS)), 0.1)


def book() -> OrderBatch:
    """Return two orders of everybody."""
    owner = np.repeat(np.arange(len(IDS)), 2)
    side = np.where(owner % 2 == 0, SELL, BUY).astype(np.int8)
    return OrderBatch(0, Orders(owner, side, np.arange(len(owner)) + 1, np.full(len(owner), 0.1)))


@pytest.mark.parametrize(("share", "fewest", "most"), [(0.0, 200, 200), (0.3, 110, 170), (1.0, 0, 0)])
def test_a_share_of_the_rows_is_lost(share, fewest, most):
    """Every row by its own chance: none at 0, all at 1."""
    arrived = post(lost=share).carry(fills()).arrived
    assert fewest <= (len(IDS) if arrived is None else int(arrived.sum())) <= most


def test_chance_belongs_to_the_letter_and_to_the_prosumer():
    """The next letter of a kind, the next interval and another prosumer have other luck; again, the same."""
    one, other = post(lost=0.5), post(lost=0.5)
    first, second, third = one.carry(fills()), one.carry(fills()), one.carry(fills(1))
    assert (first.arrived != second.arrived).any()
    assert (first.arrived != third.arrived).any()
    assert np.array_equal(first.arrived, other.carry(fills()).arrived)


def test_who_is_late_is_not_heard():
    """Delays are spread evenly up to the longest: with half of it as the window half of the letters are too late."""
    heard = post(delay_s=60.0, window_s=30.0).carry(fills()).arrived
    assert 70 <= int(heard.sum()) <= 130
    assert post(delay_s=60.0, window_s=60.0).carry(fills()).arrived.all()
    assert not post(delay_s=60.0).carry(fills()).arrived.any()


def test_copies_change_nothing_but_are_counted():
    """A recipient takes a letter once: a book in which everything came twice is the book."""
    sent = book()
    there = post(duplicated=1.0)
    assert np.array_equal(there.carry(sent).orders.energy_wh, sent.orders.energy_wh)
    assert [line[1:] for line in there.mishaps()] == [("market channel", "letters", "OrderBatch: 200 twice of 200")]
    assert list(there.mishaps()) == []
    doubled = sent.reaching(np.array([3, 3]), len(IDS))
    assert doubled.orders.owner.tolist() == [3, 3, 3, 3]


def test_overtaken_letters_come_last_and_mechanisms_do_not_mind(short_runs):
    """The book is in order of arrival; which order that is changes no trade."""
    mixed = post(reordered=0.5).carry(book()).orders
    assert mixed.owner.tolist() != sorted(mixed.owner.tolist())
    assert sorted(mixed.energy_wh.tolist()) == sorted(book().orders.energy_wh.tolist())
    plain = short_runs.play(short_runs.world(3, **TRADING))
    assert sum(len(one["trades"]["seller"]) for one in plain) > 0
    other = short_runs.play(
        short_runs.world(3, faults__market={"reordered": 0.5, "duplicated": 0.5, "delay_s": 60.0}, **TRADING)
    )
    same_money(plain, other)


def test_letters_without_a_channel_always_arrive():
    """Bills, final fills and norms are repeated until they are confirmed."""
    letter = RoomProgress(0, 0, Norms(*([0.0] * len(Norms.__dataclass_fields__))))
    assert post("operator", lost=1.0).carry(letter) is letter


def test_silence_swallows_what_an_actor_says_and_hears():
    """A silent marketplace fills nobody; of a silent prosumer the row is missing; before and after all is well."""
    for who, missing in (("marketplace", 200), (7, 1)):
        there = post(faults=Faults(silences=(Silence(who, Span(2, 4)),)))
        assert [int((~there.carry(fills(at)).arrived).sum()) for at in range(1, 5)] == [0, missing, missing, 0]


def test_who_hears_nothing_learns_nothing():
    """A recipient that no row has reached knows nothing by the letter."""
    there = post(lost=1.0)
    there.carry(fills())
    assert there.knowledge == {}


def test_what_befell_letters_survives_the_journal():
    """Fates that are not in the event table yet are state."""
    one, other = post(lost=0.5), post(lost=0.5)
    one.carry(fills())
    other.restore(one.state())
    assert list(other.mishaps()) == list(one.mishaps())


def same_money(some: list, others: list) -> None:
    """Demand that two runs have the same physical and money tables, bit for bit."""
    for one, other in zip(some, others, strict=True):
        for table in MONEY_AND_POWER:
            for name, column in one[table].items():
                assert np.array_equal(column, other[table][name], equal_nan=True), (table, name)


@pytest.mark.parametrize("strategy", ["truthful", "predictive", "zero_intelligence"])
def test_a_dead_market_channel_is_a_run_without_a_market(short_runs, strategy):
    """All letters of the market lost, or the marketplace silent: the same powers, the same money."""
    chosen = {"people__strategy": strategy, "market__gate_lead_intervals": 2}
    without = short_runs.play(short_runs.world(4, switches=Switches(market=False), **chosen))
    dead = {"faults__market": {"lost": 1.0}}
    silent = {"faults__silences": [{"who": "marketplace", "begin": 0, "end": 100}]}
    for fault in (dead, silent):
        same_money(without, short_runs.play(short_runs.world(4, **chosen, **fault)))


def test_letters_beyond_the_gate_do_not_trade(short_runs):
    """Whoever sends its orders a day late trades as little as who sends none."""
    late = short_runs.play(short_runs.world(3, faults__market={"delay_s": 86400.0}, **TRADING))
    on_time = short_runs.play(short_runs.world(3, **TRADING))
    assert sum(len(one["trades"]["seller"]) for one in on_time) > 0
    heard = sum(len(one["trades"]["seller"]) for one in late)
    assert heard < 0.1 * sum(len(one["trades"]["seller"]) for one in on_time)
    assert {"letters"} <= {cause for one in late for cause in one["events"]["cause"]}


@pytest.mark.parametrize("policy", ["fair", "negotiated"])
def test_a_dead_operator_channel_leaves_the_static_bands(short_runs, policy):
    """Without requests, grants and nominations the run is that of the static policy without rescue."""
    static = short_runs.play(
        short_runs.world(4, switches=Switches(rescue=False), operator__envelopes="static", **TRADING)
    )
    assert sum(len(one["trades"]["seller"]) for one in static) > 0
    chosen = {"operator__envelopes": policy, "negotiation__day_gate": False, **TRADING}
    dead = {"faults__operator": {"lost": 1.0}}
    silent = {"faults__silences": [{"who": "operator", "begin": 0, "end": 100}]}
    for fault in (dead, silent):
        same_money(static, short_runs.play(short_runs.world(4, **chosen, **fault)))


@pytest.mark.parametrize("who", ["operator", "marketplace", "home-13"])
def test_a_day_gate_with_somebody_silent(short_runs, who):
    """The day is negotiated without it, or not at all; the run goes on, and its books are closed."""
    fault = [{"who": who, "begin": 0, "end": 2}]
    tables = short_runs.play(
        short_runs.world(4, faults__silences=fault, negotiation__exchange="pool", **NEGOTIATED, **TRADING)
    )
    sound(tables)
    assert any("silent" in detail for one in tables for detail in one["events"]["detail"])


def sound(tables: list) -> None:
    """Demand that each trade is settled once, what is bought is sold, and money adds up to nothing."""
    accounts = Accounts(10)
    for one in tables:
        ledger, trades = one["ledger"], one["trades"]
        settled = ledger["kind"] == LedgerKind.TRADE
        assert int(ledger["energy_wh"][settled].sum()) == int(trades["energy_wh"].sum())
        kept = trades["energy_wh"] > 0
        pairs = sorted(zip(trades["seller"][kept], trades["buyer"][kept], trades["energy_wh"][kept], strict=True))
        rows = zip(ledger["payee"][settled], ledger["payer"][settled], ledger["energy_wh"][settled], strict=True)
        assert sorted(rows) == pairs
        assert int(one["prosumers"]["position_wh"].sum()) == 0
        got = np.bincount(ledger["payee"], ledger["money"], accounts.count)
        given = np.bincount(ledger["payer"], ledger["money"], accounts.count)
        assert (got - given).sum() == 0.0
        for table in ("prosumers", "buses", "branches"):
            assert all(np.isfinite(column).all() for column in one[table].values() if column.dtype.kind == "f")


def lossy(share: float, **more) -> dict:
    """Return faults of all channels."""
    befalls = {"lost": share, "duplicated": share, "reordered": share, **more}
    return {f"faults__{name}": befalls for name in CHANNELS}


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_everything_at_once_keeps_the_books(short_runs, share):
    """Lost, late, doubled, overtaken on all channels at once, on a congested grid: each trade settles once."""
    world = short_runs.world(4, congested=True, **lossy(share, delay_s=400.0), **TRADING)
    sound(short_runs.play(world))


def test_a_negotiation_of_which_nothing_arrives_ends_within_its_rounds(short_runs):
    """With every letter lost the rounds end all the same, and what is granted is carried."""
    world = short_runs.world(3, faults__negotiation={"lost": 1.0}, negotiation__exchange="pool", **NEGOTIATED)
    tables = short_runs.play(world)
    assert max(one["intervals"]["plan_room_rounds"][0] for one in tables) <= 3
    assert sum(len(one["trades"]["seller"]) for one in tables) == 0
    sound(tables)


def test_a_faulty_run_repeats_and_goes_on_bit_for_bit(short_runs):
    """Chance is by ids: a run with faults repeats to its hash, and so does one taken up in the middle."""
    faults = lossy(0.4, delay_s=100.0)
    whole, first, second = (short_runs.world(5, congested=True, **faults, **TRADING) for _ in range(3))
    short_runs.play(whole)
    short_runs.play(first, after_tick=lambda now: now < 2)
    second.restore(first.to_plain())
    short_runs.play(second)
    assert second.state.digest == whole.state.digest


@pytest.mark.campaign
def test_letters_in_many_combinations(short_runs, campaign_row):
    """Row E: shares from 0 to 1, each channel and all, silences of every actor: the books hold in every one."""
    shares = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
    cases = [{f"faults__{name}": {what: share}} for name in CHANNELS for what in BEFALLS for share in shares]
    cases += [lossy(share, delay_s=delay) for share in shares for delay in (0.0, 30.0, 600.0)]
    cases = [{key: scaled(value) for key, value in case.items()} for case in cases]
    cases += [
        {"faults__silences": [{"who": who, "begin": 1, "end": 1 + length}]}
        for who in ("operator", "marketplace", "home-13")
        for length in (1, 2, 4)
    ]
    failures = []
    for case in cases:
        for policy in ({"congested": True}, {"congested": False, "negotiation__exchange": "pool", **NEGOTIATED}):
            try:
                sound(short_runs.play(short_runs.world(5, **policy, **case, **TRADING)))
            except Exception as error:  # noqa: BLE001, whatever fails is counted
                failures.append((case, policy, repr(error)))
    campaign_row("E", 2 * len(cases), len(failures), "letters lost, late, doubled, overtaken; silence")
    assert failures == []


BEFALLS = ("lost", "delay_s", "duplicated", "reordered")


def scaled(befalls):
    """Return what befalls a channel, a share of a delay being that of ten minutes."""
    return {key: 600.0 * value if key == "delay_s" and value <= 1.0 else value for key, value in befalls.items()}
