"""Negotiating room as talk: offers and bids in rounds until both sides agree or the rounds end.

One round, when trades are negotiated with a pool beside the room:

    prosumers -> operator      RoomBid         what each would take
    prosumers -> marketplace   PoolBid         what each would sell
    operator <-> marketplace   Room-, PoolProgress   how far each side is from agreement, as norms
    operator -> prosumers      RoomOffer       what the grid carries, what more costs; the last one is final
    marketplace -> prosumers   PoolOffer       what balances the pool, its price

Who did not hear an offer says nothing in that round. The operator and the marketplace never tell each other anything
about a prosumer. That is why both may answer in parallel: prosumers are one block, operator and marketplace the other,
of a two-block scheme that converges (flat). In the nested form the pool finds its balance before the operator hears of
it.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from cosim.day_gate import DayGate
from cosim.messages import PoolBid, PoolOffer, RoomBid, RoomNeed, RoomOffer
from cosim.models.optimisation.consensus import Tolerance
from cosim.models.optimisation.consensus_penalty import Balancing, PenaltyRule
from cosim.talk import Ask, Gate, Send

Rounds = Generator[Ask | Send | Gate, Any, RoomOffer]


@dataclass(frozen=True, slots=True)
class Terms:
    """How a negotiation goes.

    Attributes:
        penalty_eur_per_kw2h: how hard both sides pull at first.
        kappa_eur_per_kw2h: how strongly room that nobody asks for goes back to the fair share.
        rule: how the penalty changes from round to round.
        tolerance: when the two sides agree.
        unmoved_kw: largest gap between the opening offer and its bids at which there is nothing to negotiate.
        rounds: most rounds of offers after the opening one.
        pool: whether trades are negotiated beside the room.
        nested: whether the pool finds its balance within each round, in at most `pool_rounds`.
        round_s: simulated seconds of a round; what has not arrived by its end is lost.
    """

    penalty_eur_per_kw2h: float
    kappa_eur_per_kw2h: float
    rule: PenaltyRule = field(default_factory=Balancing)
    tolerance: Tolerance = field(default_factory=Tolerance)
    unmoved_kw: float = 0.0
    rounds: int = 60
    pool: bool = False
    nested: bool = False
    pool_rounds: int = 20
    round_s: int = 1


@dataclass(frozen=True, slots=True)
class RoomGates:
    """When and how room is negotiated.

    Attributes:
        interval: terms of an interval's negotiation.
        steps: how many steps it covers.
        day: terms of the day gate's, None where there is no day gate.
        margin: what room is kept for: no error of the passive load, the largest likely one, or all but a risk.
        risk: that risk.
        gate: when the day gate closes.
    """

    interval: Terms
    gate: DayGate
    steps: int = 4
    day: Terms | None = None
    margin: Literal["none", "box", "moment"] = "none"
    risk: float = 0.05


@dataclass
class _Said:
    """What was last said in a negotiation."""

    bids: Any
    room: RoomOffer
    pool: PoolOffer | None


def negotiated(
    terms: Terms,
    index: int,
    need: RoomNeed,
    prosumers_see: Any,
    operator_sees: Any,
    pool_price: np.ndarray | None = None,
) -> Rounds:
    """Negotiate the horizon that begins with interval `index`; return the operator's final offer.

    `prosumers_see` is shown to the prosumers and `operator_sees` to the operator when the negotiation opens;
    `pool_price` is where the pool's price begins (H,) EUR/kWh, nothing if absent.
    """
    need = yield Send(need)
    room = yield Send((yield Ask("operator", "open_room", (operator_sees, need, terms))))
    pool = None
    if terms.pool:
        count, steps = room.room.net_kw.shape
        price = np.zeros(steps) if pool_price is None else pool_price
        pool = yield Send((yield Ask("marketplace", "open_pool", (index, count, price, terms))))
    said = _Said((yield Ask("prosumers", "open_negotiation", (prosumers_see, room, pool))), room, pool)
    for number in range(terms.rounds):
        yield Gate(terms.round_s)
        if terms.pool and terms.nested:
            yield from _balanced(terms, index, number, said)
        yield from _round(terms, index, number, said)
        if said.room.final:
            break
        said.bids = yield Ask("prosumers", "counter", (said.room, said.pool))
    yield Ask("prosumers", "close_negotiation", (said.room, said.pool))
    return said.room


def _round(terms: Terms, index: int, number: int, said: _Said) -> Generator[Ask | Send | Gate, Any, None]:
    """Let the operator and the pool hear the bids, compare how far they are, and make their next offers."""
    bid = yield Send(RoomBid(index, number, said.bids.room, said.room.arrived))
    progress = yield Ask("operator", "hear_room", (bid,))
    of_pool = None
    if terms.pool and said.pool is not None:
        trade = yield Send(PoolBid(index, number, said.bids.trade_kw, said.pool.arrived))
        of_pool = yield Send((yield Ask("marketplace", "hear_pool", (trade,))))
        progress = yield Send(progress)
        said.pool = yield Send((yield Ask("marketplace", "offer_pool", (progress,))))
    said.room = yield Send((yield Ask("operator", "offer_room", (of_pool,))))


def _balanced(terms: Terms, index: int, number: int, said: _Said) -> Generator[Ask | Send | Gate, Any, None]:
    """Let prosumers and the pool alone find their balance at the room on offer."""
    for inner in range(terms.pool_rounds):
        if said.pool is None:
            return
        bid = PoolBid(index, number * terms.pool_rounds + inner, said.bids.trade_kw, said.pool.arrived)
        if (yield Ask("marketplace", "in_balance", ((yield Send(bid)),))):
            return
        said.pool = yield Send((yield Ask("marketplace", "offer_pool", (None,))))
        said.bids = yield Ask("prosumers", "counter", (said.room, said.pool))
