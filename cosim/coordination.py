"""Market and network in turn: prosumers clear at prices of the network, the operator rewires for what they nominate.

One round:

    operator -> prosumers      NetworkPrice    what a kWh fed in costs the network, by connection and step
    prosumers <-> marketplace  PoolBid, PoolOffer   until the pool is in balance
    prosumers -> operator      DayNomination   the net powers that come of it
    prosumers -> operator      CostsOfSteps    what going there, or a part of the way, costs all of them together
    operator -> prosumers      StepTaken       the longest step that does not raise the merit
    operator -> switches       SwitchOrder     states that lower it

The merit is everybody's costs, the exchange with the supplier, losses and switch operations; what prosumers pay each
other cancels out. With switches at rest it is convex and a round is a step of descent; a rewiring lowers it by a least
amount, so there are finitely many. It never rises, and ends where neither side has anything to improve alone.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from cosim.messages import PoolBid, PoolOffer
from cosim.talk import Ask, Gate, Send

Said = Generator[Ask | Send | Gate, Any, Any]


@dataclass(frozen=True, slots=True)
class TwoTiers:
    """How market and network are brought together.

    Attributes:
        rounds: most rounds, 0 for a market that hears nothing of the network
        rewires: whether the operator may operate switches between rounds
        shares: steps that are tried, the longest first
        pool_rounds: most rounds of the pool
        round_s: simulated seconds of a round of the pool

    """

    rounds: int = 20
    rewires: bool = True
    shares: tuple[float, ...] = (1.0, 0.5, 0.25, 0.125, 0.0625)
    pool_rounds: int = 1000
    round_s: int = 1


def coordinated(terms: TwoTiers, index: int) -> Said:
    """Bring market and network together for the horizon that begins with an interval; return how many rounds."""
    yield from _cleared(terms, index, 0)
    nomination = yield Send((yield Ask("prosumers", "nomination", (index,))))
    costs = yield Send((yield Ask("prosumers", "costs", (index, 0, (1.0,)))))
    yield from _stepped(index, 0, nomination, costs, (1.0,))
    for number in range(1, terms.rounds + 1):
        price = yield Send((yield Ask("operator", "network_price", (index, number))))
        yield Ask("prosumers", "hear_price", (price,))
        yield from _cleared(terms, index, number)
        nomination = yield Send((yield Ask("prosumers", "nomination", (index,))))
        costs = yield Send((yield Ask("prosumers", "costs", (index, number, terms.shares))))
        yield from _stepped(index, number, nomination, costs, terms.shares)
        if terms.rewires:
            for order in (yield Ask("operator", "rewire", (index,))):
                yield Send(order)
        if (yield Ask("operator", "at_rest", ())):
            return number
    return terms.rounds


def _stepped(index: int, number: int, nomination: Any, costs: Any, shares: tuple[float, ...]) -> Said:
    """Let the operator choose a step, and everybody take it."""
    step = yield Send((yield Ask("operator", "step", (index, number, nomination, costs, shares))))
    yield Ask("prosumers", "take", (step,))


def _cleared(terms: TwoTiers, index: int, number: int) -> Said:
    """Let prosumers and the pool find the prices at which what they trade adds up."""
    offer: PoolOffer = yield Send((yield Ask("marketplace", "open_pool", (index, number))))
    for _ in range(terms.pool_rounds):
        yield Gate(terms.round_s)
        bid: PoolBid = yield Send((yield Ask("prosumers", "bid", (offer,))))
        if (yield Ask("marketplace", "hear_pool", (bid,))):
            break
        offer = yield Send((yield Ask("marketplace", "offer_pool", ())))
    yield Ask("prosumers", "hear_final", (offer,))
