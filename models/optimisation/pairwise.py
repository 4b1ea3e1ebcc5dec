"""Pairs of sellers and buyers agree on what they trade, each side knowing its own limits and costs only.

What pair e moves, t_e >= 0 in kW, is worth worth_e to its buyer and costs its seller ask_e, in EUR/kWh; nobody
trades more than its capacity. Sellers and buyers hold copies of t and come to agree by two-block ADMM (`consensus`);
the multiplier of a pair is its price. Sorin, Bobo, Pinson (2019), Consensus-based approach to peer-to-peer electricity
markets with product differentiation, IEEE Trans. Power Systems 34(2):994, doi 10.1109/TPWRS.2018.2872880, whose agents
all answer at once; here buyers answer before sellers, which is the order in which convergence is proved.

Costs are linear, so many optima are alike: a small square of every t picks the one that spreads trades most evenly.
"""

from dataclasses import dataclass, replace

import numpy as np

from cosim.models.optimisation.consensus import Agreement, Tolerance
from cosim.models.optimisation.consensus_penalty import Balancing
from cosim.models.optimisation.consensus_rounds import Moderation

SPREAD_SHARE = 0.005
"""Curvature of what trades cost each side, over the penalty: it costs less than a thousandth of the welfare."""
ROUNDS = 3000
TOLERANCE = Tolerance(absolute_kw=1e-6, relative=0.0, worst_kw=1e-5)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Who may trade with whom.

    Attributes:
        seller, buyer: int64 (e,) numbers of a pair's two ends.
        ask_eur_per_kwh, worth_eur_per_kwh: (e,) least and greatest price of a pair, the second above the first.
        seller_kw: capacity of each seller (s,).
        buyer_kw: capacity of each buyer (b,).
    """

    seller: np.ndarray
    buyer: np.ndarray
    ask_eur_per_kwh: np.ndarray
    worth_eur_per_kwh: np.ndarray
    seller_kw: np.ndarray
    buyer_kw: np.ndarray


@dataclass(frozen=True, slots=True)
class Deals:
    """What pairs agreed on (e,), and how they came to it.

    `trade_kw` is the smaller of both copies, so no capacity is exceeded whether or not the negotiation `settled`.
    """

    trade_kw: np.ndarray
    price_eur_per_kwh: np.ndarray
    rounds: int
    settled: bool


def agree(pairs: Pairs, tolerance: Tolerance = TOLERANCE, rounds: int = ROUNDS) -> Deals:
    """Let all pairs negotiate until copies agree, or rounds run out; deterministic, without memory."""
    if not len(pairs.seller):
        return Deals(np.zeros(0), np.zeros(0), 0, settled=True)
    gain = (pairs.worth_eur_per_kwh - pairs.ask_eur_per_kwh).mean()
    penalty = float(gain / np.concatenate([pairs.seller_kw, pairs.buyer_kw]).mean())
    everybody = np.ones(len(pairs.seller), dtype=bool)
    moderation = Moderation.begin(Balancing(), tolerance, penalty)
    copies = Agreement.begin(np.zeros((len(pairs.seller), 1)))
    middle = (pairs.ask_eur_per_kwh + pairs.worth_eur_per_kwh) / 2
    copies = replace(copies, dual_kw=(middle / penalty)[:, None])
    curvature = SPREAD_SHARE * penalty
    while moderation.number < rounds:
        before, penalty = copies, moderation.penalty_eur_per_kw2h
        drawn = (penalty * copies.pull_below_kw[:, 0] + pairs.worth_eur_per_kwh) / (penalty + curvature)
        copies = copies.heard(within_capacity(drawn, pairs.buyer, pairs.buyer_kw)[:, None], everybody)
        pull = copies.pull_above_kw(everybody)
        drawn = (penalty * pull[:, 0] - pairs.ask_eur_per_kwh) / (penalty + curvature)
        copies = copies.answered(within_capacity(drawn, pairs.seller, pairs.seller_kw)[:, None], pull)
        moderation = moderation.after([copies.part(before, penalty).norms()])
        if moderation.settled:
            break
        copies = copies.rescaled(moderation.factor)
    price = copies.price(moderation.penalty_eur_per_kw2h)[:, 0]
    price = np.clip(price, pairs.ask_eur_per_kwh, pairs.worth_eur_per_kwh)
    agreed = np.minimum(copies.target_kw, copies.response_kw)[:, 0]
    return Deals(agreed, price, moderation.number, moderation.settled)


def within_capacity(drawn_kw: np.ndarray, owner: np.ndarray, capacity_kw: np.ndarray) -> np.ndarray:
    """Return the nearest trades (e,) >= 0 to those drawn to, of which each owner's add up to at most its capacity.

    All owners at once: what is too much is taken off evenly from those that are left above nothing, until none falls
    below (Michelot 1986, doi 10.1007/BF00938486).
    """
    left = drawn_kw > 0.0
    while True:
        total = np.bincount(owner, weights=np.where(left, drawn_kw, 0.0), minlength=len(capacity_kw))
        count = np.bincount(owner, weights=left, minlength=len(capacity_kw))
        off = np.maximum(total - capacity_kw, 0.0) / np.maximum(count, 1.0)
        still = left & (drawn_kw > off[owner])
        if np.array_equal(still, left):
            return np.where(left, drawn_kw - off[owner], 0.0)
        left = still
