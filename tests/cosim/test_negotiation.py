"""The talk of a negotiation: its letters in order, what each actor has learnt, lost letters."""

import numpy as np
import pytest

from cosim.agents.dso.room_desk import RoomDesk
from cosim.converse import converse
from cosim.experiments.studies.ndoe33 import Case, CaseOperator, CaseProsumers, negotiate, pool_of
from cosim.messages import NEGOTIATION_CHANNEL
from cosim.models.ndoe33 import load
from cosim.models.optimisation.consensus import Tolerance
from cosim.models.optimisation.room import Box
from cosim.negotiation import Terms, negotiated
from cosim.post import Channel, Lines, Post, transcript
from cosim.randomness import Chance

IDS = tuple(f"home-{row}" for row in range(10))


@pytest.fixture(scope="module")
def case() -> Case:
    """Return the ten-prosumer case."""
    return Case(load())


def lossy_lines(share: float, uniforms) -> Lines:
    """Return channels on which a share of a negotiation's letters is lost."""
    return Lines(uniforms, {NEGOTIATION_CHANNEL: Channel(lost=share)})


def terms(**changed) -> Terms:
    """Return terms at which the case converges."""
    given = {"penalty_eur_per_kw2h": 1e-4, "kappa_eur_per_kw2h": 5e-6, "tolerance": Tolerance(0.1, 1e-4, 1.0)}
    return Terms(**(given | changed))


def said(case: Case, own: Terms) -> list[str]:
    """Return the letters of a negotiation by kind, in order."""
    post = Post(keep=True)
    talk = negotiated(own, 0, case.need, None, case.view)
    roles = {
        "operator": CaseOperator(case, lambda _: None),
        "marketplace": pool_of(case),
        "prosumers": CaseProsumers(case.problem),
    }
    converse(talk, roles, post)
    return [type(letter).__name__ for letter in post.archive]


def test_transcript_of_two_rounds(case):
    """Needs, opening offers, then per round: bids to both, progress between them, offers from both."""
    round_ = ["RoomBid", "PoolBid", "PoolProgress", "RoomProgress", "PoolOffer", "RoomOffer"]
    assert said(case, terms(rounds=2, pool=True)) == ["RoomNeed", "RoomOffer", "PoolOffer", *round_, *round_]


def test_without_a_pool_nobody_speaks_to_the_marketplace(case):
    """Room alone is between prosumers and operator."""
    assert said(case, terms(rounds=2)) == ["RoomNeed", "RoomOffer", *(["RoomBid", "RoomOffer"] * 2)]


def test_nested_pool_finds_its_balance_before_the_operator_hears_of_it(case):
    """Within a round bids and offers of the pool alternate; the operator is asked once."""
    letters = said(case, terms(rounds=1, pool=True, nested=True, pool_rounds=3))
    assert letters[:5] == ["RoomNeed", "RoomOffer", "PoolOffer", "PoolBid", "PoolOffer"]
    assert letters.count("RoomBid") == 1
    assert letters.count("PoolBid") > letters.count("RoomBid")


def test_what_each_actor_has_learnt(case):
    """Only room reaches the operator, only quantities the pool, only offers the prosumers: no device, price or cost."""
    outcome = negotiate(case, terms(rounds=3, pool=True))
    learnt = {actor: sorted(topics) for actor, topics in outcome.post.knowledge.items()}
    assert learnt == {
        "operator": [
            "PoolProgress.norms",
            "PoolProgress.round",
            "RoomBid.room",
            "RoomBid.round",
            "RoomNeed.firm_kw",
            "RoomNeed.reactive_kvar",
        ],
        "marketplace": ["PoolBid.round", "PoolBid.trade_kw", "RoomProgress.norms", "RoomProgress.round"],
        "prosumers": [
            "PoolOffer.price_eur_per_kwh",
            "PoolOffer.round",
            "PoolOffer.trade_kw",
            "RoomOffer.final",
            "RoomOffer.penalty_eur_per_kw2h",
            "RoomOffer.price",
            "RoomOffer.room",
            "RoomOffer.round",
        ],
    }


def test_norms_tell_nothing_about_a_single_prosumer(case):
    """Two populations that differ by a change of places have the same norms: sums over everybody."""
    heard = []

    def observe(desk: RoomDesk, _prosumers: CaseProsumers) -> None:
        heard.append(desk.moderation.latest)

    negotiate(case, terms(rounds=1, pool=True), observe=observe)
    assert len(heard) == 1
    assert all(isinstance(value, float) for value in (heard[0].primal_kw, heard[0].dual_eur_per_kwh))


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_lost_letters_change_neither_safety_nor_much_of_the_value(case, share):
    """Whoever is not heard in a round keeps its last word; the outcome is the same within 0.1 %, and carried by AC."""
    chance = Chance(7)
    lines = lossy_lines(share, lambda purpose, index: chance.uniforms(IDS, purpose, index, 1)[:, 0])
    whole = negotiate(case, terms(rounds=150, pool=True))
    lossy = negotiate(case, terms(rounds=150, pool=True), lines=lines)
    worth = [
        case.worth(one.grant.room.lower_kw, one.grant.room.upper_kw, one.trade_kw).objective_eur
        for one in (whole, lossy)
    ]
    assert worth[1] == pytest.approx(worth[0], rel=1e-3)
    bands = lossy.grant.room
    box = Box(bands.lower_kw, bands.upper_kw)
    breach = [case.scene.breach(box, step) for step in range(case.problem.steps)]
    assert max(breach) == 0.0


def test_who_never_answers_keeps_its_fair_share_at_most(case):
    """After ten rounds of silence somebody's room is settled without it."""
    deaf = np.arange(10) == 3
    lines = lossy_lines(0.5, lambda purpose, _index: np.where(deaf & ("Bid" in purpose), 0.0, 1.0))
    outcome = negotiate(case, terms(rounds=14, pool=True), lines=lines)
    assert np.all(outcome.grant.room.upper_kw[3] <= case.data.fair_upper_kw[3] + 1e-6)
    assert np.all(outcome.grant.room.lower_kw[3] >= case.data.fair_lower_kw[3] - 1e-6)


def test_the_same_negotiation_says_the_same(case):
    """Letters are the same to the last bit when a negotiation is repeated."""
    archives = []
    for _ in range(2):
        post = Post(keep=True)
        roles = {
            "operator": CaseOperator(case, lambda _: None),
            "marketplace": pool_of(case),
            "prosumers": CaseProsumers(case.problem),
        }
        converse(negotiated(terms(rounds=3, pool=True), 0, case.need, None, case.view), roles, post)
        archives.append(transcript(post.archive))
    assert archives[0] == archives[1]
