"""Books for the tests of mechanisms: by hand, at random, and of one order each."""

import numpy as np
from hypothesis import strategies as st

from cosim.models.market.check_claims import PROSUMERS
from cosim.models.market.order import BUY, SELL, Orders


def book(offers: list[tuple[float, int]], bids: list[tuple[float, int]]) -> Orders:
    """Return a book of (limit, Wh): owners count from 0, sellers first."""
    both = [*offers, *bids]
    return Orders(
        np.arange(len(both)),
        np.array([SELL] * len(offers) + [BUY] * len(bids), np.int8),
        np.array([energy for _, energy in both], np.int64),
        np.array([limit for limit, _ in both], np.float64),
    )


def random_book(count: int, seed: int = 0, *, ties: bool = False) -> Orders:
    """Return a book of one order each, half of them offers; with ties prices are whole cents."""
    chance = np.random.default_rng(seed)
    limit = chance.uniform(0.08, 0.30, count)
    side = np.where(np.arange(count) % 2, SELL, BUY).astype(np.int8)
    energy = chance.integers(100, 3000, count)
    return Orders(np.arange(count), side, energy, np.round(limit, 2) if ties else limit)


@st.composite
def books(draw: st.DrawFn) -> Orders:
    """Draw books with owners on both sides, several orders each, and prices coarse enough to tie."""
    count = draw(st.integers(1, 25))

    def column(values: st.SearchStrategy) -> list:
        return draw(st.lists(values, min_size=count, max_size=count))

    return Orders(
        np.array(column(st.integers(0, PROSUMERS - 1)), np.int64),
        np.array(column(st.sampled_from([SELL, BUY])), np.int8),
        np.array(column(st.integers(1, 5000)), np.int64),
        np.array(column(st.integers(-3, 12))) / 40.0,
    )
