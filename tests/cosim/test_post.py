"""The post: what is carried is counted, remembered, and can be told as text."""

from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from cosim.agents.dso.curtailment import ProRata
from cosim.agents.dso.envelopes.none import NoEnvelopes
from cosim.agents.dso.office import GridOffice
from cosim.agents.dso.operator import Operator
from cosim.agents.marketplace.marketplace import Marketplace
from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, Decision
from cosim.agents.prosumer.cohort import OneByOneCohort
from cosim.agents.prosumer.population import Population
from cosim.clock import Clock
from cosim.guard import Guard
from cosim.messages import EnergyReading, Fills, GridReading
from cosim.models.market.order import Order
from cosim.models.market.uniform_price import UniformPrice
from cosim.post import Post, transcript
from cosim.randomness import Chance
from cosim.world import Cast, Recording, World


def test_counts_and_knowledge():
    """Letters are counted by kind; a recipient knows the topics it received, since when, and no others."""
    post = Post()
    for interval in (4, 5):
        post.carry(EnergyReading(interval, metered_wh=np.zeros(1)))
    post.carry(GridReading(6, net_kw=np.zeros(1), reactive_kvar=np.zeros(1)))
    assert post.counts == {"EnergyReading": 2, "GridReading": 1}
    assert post.knowledge == {
        "supplier": {"EnergyReading.metered_wh": 4},
        "operator": {"GridReading.net_kw": 6, "GridReading.reactive_kvar": 6},
    }
    assert post.archive == []


def test_letters_arrive_as_they_were_sent():
    """Without faults what arrives is the letter itself."""
    letter = EnergyReading(0, metered_wh=np.zeros(1))
    assert Post().carry(letter) is letter


def test_state_comes_back():
    """Counts and knowledge survive the journal."""
    post, other = Post(), Post()
    post.carry(EnergyReading(4, metered_wh=np.zeros(1)))
    other.restore(post.state())
    assert (other.counts, other.knowledge) == (post.counts, post.knowledge)


def test_transcripts_compare_exactly():
    """Equal letters give equal bytes; the last bit of a number shows, and so does the kind of letter."""
    letter = Fills(1, np.array([5]), 0.1)
    assert transcript([letter]) == transcript([Fills(1, np.array([5]), 0.1)])
    assert transcript([letter]) != transcript([Fills(1, np.array([5]), np.nextafter(0.1, 1))])
    assert transcript([EnergyReading(0, np.zeros(1))]) != transcript([GridReading(0, np.zeros(1), np.zeros(1))])


OPERATOR_MAY_KNOW = {
    "RoomRequest.lower_kw",
    "RoomRequest.upper_kw",
    "RoomRequest.firm_kw",
    "RoomRequest.reactive_kvar",
    "Nomination.net_kw",
    "Nomination.reactive_kvar",
    "GridReading.net_kw",
    "GridReading.reactive_kvar",
}
MARKETPLACE_MAY_KNOW = {
    "OrderBatch.orders",
    "VolumeLimit.sell_wh",
    "VolumeLimit.buy_wh",
    "Cancellation.sell_wh",
    "Cancellation.buy_wh",
}


def test_who_learns_what_in_a_run(short_runs):
    """Everybody learns what its work needs and nothing else.

    The operator learns room and power, never price, partner, order or state of charge; the marketplace orders and
    volumes, never nomination, device or grid; the supplier energies, never price of a trade or partner.
    """
    world = short_runs.world(6, congested=True)
    short_runs.play(world)
    knowledge = world.post.knowledge
    assert world.post.counts["Cancellation"] > 0
    assert set(knowledge["operator"]) == OPERATOR_MAY_KNOW
    assert set(knowledge["marketplace"]) == MARKETPLACE_MAY_KNOW
    assert set(knowledge["supplier"]) == {
        "NominationCopy.nominated_wh",
        "EnergyReading.metered_wh",
        "FinalFills.position_wh",
    }
    words = " ".join([*knowledge["operator"], *knowledge["marketplace"]]).lower()
    assert not any(secret in words for secret in ("price", "soc", "partner", "money", "battery", "fills"))


def test_roles_are_shown_only_what_letters_told_them(short_runs):
    """Views are no back door: operator and marketplace are asked with letters to them and their own forecast."""
    world = short_runs.world(6, congested=True)
    shown = {}
    answer = world.answer

    def noted(ask):
        values = [view for view in ask.view if is_dataclass(view)]
        names = {f"{type(value).__name__}.{item.name}" for value in values for item in fields(value)}
        shown.setdefault(ask.role, set()).update(names)
        return answer(ask)

    world.answer = noted
    short_runs.play(world)
    assert shown["marketplace"] == {
        *(f"ClearView.{name}" for name in ("interval", "batch", "limit", "floor_eur_per_kwh", "ceiling_eur_per_kwh")),
        "ClearView.fee_eur_per_kwh",
        "ClearView.loss_eur_per_kwh",
        *(f"Trades.{name}" for name in ("seller", "buyer", "energy_wh", "price_eur_per_kwh", "spread_eur_per_kwh")),
        "Trades.loss_eur_per_kwh",
        *(f"Cancellation.{name}" for name in ("interval", "sell_wh", "buy_wh", "arrived")),
    }
    assert shown["operator"] == {
        *(f"GrantView.{name}" for name in ("interval", "request", "passive_kw", "passive_kvar", "closed")),
        *(f"PlanView.{name}" for name in ("interval", "nomination", "request", "envelopes", "passive_kw")),
        *(f"PlanView.{name}" for name in ("passive_kvar", "round", "closed")),
        *(f"Interval.{name}" for name in ("index", "start_s", "duration_s")),
        *(f"Envelopes.{name}" for name in ("lower_kw", "upper_kw")),
    }


class Offers(BiddingStrategy):
    """Sells its surplus at 0.15, or buys what it lacks at 0.20; the battery takes what was not traded."""

    def bid(self, view, chance):
        energy_kwh = view.natural_net_kwh
        if energy_kwh > 0:
            return [Order("sell", energy_kwh, 0.15)]
        return [Order("buy", -energy_kwh, 0.20)]


class Abstains(BiddingStrategy):
    """Neither trades nor stores."""

    def dispatch(self, view, chance):
        return Decision()


def enact(setting, begun, *strategies) -> World:
    """Run the two prosumers for one interval with real actors; return the world."""
    guard, chance = Guard(), Chance(1)
    cohorts = [
        OneByOneCohort(make, make.__name__, np.array([row]), (setting.ids[row],), guard, chance)
        for row, make in enumerate(strategies)
    ]
    office = GridOffice(setting.community, setting.twin, setting.limits)
    cast = Cast(
        prosumers=Population(cohorts, 2),
        operator=Operator(NoEnvelopes(), ProRata(), office, guard),
        marketplace=Marketplace(UniformPrice(), setting.ids, guard),
        forecaster=setting.nature,
        recorder=Recording(guard),
    )
    world = World(setting, begun(setting), cast, Post(keep=True), guard, seed=1)
    assert Clock(world, None).run()
    return world


def told(letter) -> str:
    """Say a letter in one line, numbers rounded to Wh and W."""
    parts = []
    for item in fields(letter)[1:]:
        value = getattr(letter, item.name)
        if item.name == "arrived" and value is None:
            continue
        if is_dataclass(value):
            parts += [f"{column.name} {spelt(getattr(value, column.name))}" for column in fields(value)]
        else:
            parts.append(f"{item.name} {spelt(value)}")
    return f"{letter.sender} -> {letter.recipient}: {type(letter).__name__} " + ", ".join(parts)


def spelt(value) -> str:
    """Spell a number or a column."""
    return " ".join(f"{item:.10g}" for item in np.atleast_1d(np.round(np.asarray(value, float), 3)) + 0.0)


SOLD = """
prosumers -> operator: RoomRequest lower_kw -7 -4, upper_kw 11 -4, firm_kw -2 -4, reactive_kvar 0 0
operator -> prosumers: EnvelopeGrant round 0, lower_kw -20 -20, upper_kw 20 20
prosumers -> marketplace: OrderBatch owner 0 1, side 1 -1, energy_wh 6000 4000, limit_eur_per_kwh 0.15 0.2
operator -> marketplace: VolumeLimit sell_wh 20000 20000, buy_wh 20000 20000
marketplace -> prosumers: Fills position_wh 4000 -4000, price_eur_per_kwh 0.15
prosumers -> operator: Nomination net_kw 4 -4, reactive_kvar 0 0
prosumers -> supplier: NominationCopy nominated_wh 4000 -4000
prosumers -> operator: GridReading net_kw 4 -4, reactive_kvar 0 0
prosumers -> supplier: EnergyReading metered_wh 4000 -4000
marketplace -> supplier: FinalFills position_wh 4000 -4000
supplier -> prosumers: Bills money 60000 -60000
"""

UNSOLD = """
prosumers -> operator: RoomRequest lower_kw -7 -4, upper_kw 11 -4, firm_kw -2 -4, reactive_kvar 0 0
operator -> prosumers: EnvelopeGrant round 0, lower_kw -20 -20, upper_kw 20 20
prosumers -> marketplace: OrderBatch owner 0, side 1, energy_wh 6000, limit_eur_per_kwh 0.15
operator -> marketplace: VolumeLimit sell_wh 20000 20000, buy_wh 20000 20000
marketplace -> prosumers: Fills position_wh 0 0, price_eur_per_kwh nan
prosumers -> operator: Nomination net_kw 1 -4, reactive_kvar 0 0
prosumers -> supplier: NominationCopy nominated_wh 1000 -4000
prosumers -> operator: GridReading net_kw 1 -4, reactive_kvar 0 0
prosumers -> supplier: EnergyReading metered_wh 1000 -4000
marketplace -> supplier: FinalFills position_wh 0 0
supplier -> prosumers: Bills money 10000 -120000
"""


@pytest.mark.parametrize(
    ("shop", "letters", "battery_kw"), [(Offers, SOLD, -2.0), (Abstains, UNSOLD, -5.0)], ids=["sold", "unsold"]
)
def test_transcript_of_one_hour(theatre, shop, letters, battery_kw):
    """The whole talk of one hour as text.

    When the shop does not buy, the unfilled order changes the battery's set-point from storing the rest (-2 kW) to
    storing all it can (-5 kW).
    """
    tiny, begun, _ = theatre
    world = enact(tiny(intervals=1), begun, Offers, shop)
    assert [told(letter) for letter in world.post.archive] == letters.strip().splitlines()
    assert world.latest["prosumers"]["battery_kw"].tolist() == [battery_kw, 0.0]
    assert world.guard.events == []
