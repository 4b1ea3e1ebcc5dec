"""Integer sharing: pro rata without losing a Wh, and who delivers to whom when a pool has cleared."""

import numpy as np


def pro_rata(claims_wh: np.ndarray, total_wh: int, priority: np.ndarray) -> np.ndarray:
    """Share a total among claims in proportion, in whole Wh that add up to it exactly.

    Largest remainders get the odd Wh (Hamilton's method); equal remainders go by `priority`, lowest first,
    then by the smaller claim, so the order of the rows never matters.

    `claims_wh` int64 (m,) > 0, `total_wh` from 0 to their sum, `priority` int64 (m,); returns int64 (m,),
    none above its claim.

    >>> pro_rata(np.array([10, 10, 10]), 10, np.array([2, 1, 0])).tolist()
    [3, 3, 4]
    """
    claimed_wh = int(claims_wh.sum())
    if total_wh == claimed_wh:
        return claims_wh
    exact = claims_wh * (total_wh / claimed_wh)
    whole = np.floor(exact)
    shares = whole.astype(np.int64)
    odd = total_wh - int(shares.sum())
    if odd:
        # Only remainders equal to the last one that counts need an order.
        rest = whole - exact
        edge = np.partition(rest, odd - 1)[odd - 1]
        shares[rest < edge] += 1
        tied = np.flatnonzero(rest == edge)
        still = odd - int(np.count_nonzero(rest < edge))
        shares[tied[np.lexsort((claims_wh[tied], priority[tied]))[:still]]] += 1
    return shares


def pair(sold_wh: np.ndarray, bought_wh: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Say who delivers how much to whom: both columns laid end to end in row order, cut at every boundary.

    `sold_wh` and `bought_wh` int64 (n,) >= 0 with equal sums; returns (seller, buyer, energy_wh), each
    int64 with at most (number of sellers + number of buyers - 1) rows. With one price for all the pairing
    moves no money.
    """
    sellers, buyers = np.flatnonzero(sold_wh), np.flatnonzero(bought_wh)
    sold_until, bought_until = np.cumsum(sold_wh[sellers]), np.cumsum(bought_wh[buyers])
    cuts = np.sort(np.concatenate([sold_until, bought_until]), kind="stable")
    energy_wh = np.diff(cuts, prepend=0)
    cuts, energy_wh = cuts[energy_wh > 0], energy_wh[energy_wh > 0]
    seller = sellers[np.searchsorted(sold_until, cuts)]
    buyer = buyers[np.searchsorted(bought_until, cuts)]
    return seller, buyer, energy_wh
