"""A few futures per prosumer, with probabilities: what is left of an ensemble forecast for planning."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SHARES = (0.1, 0.2, 0.4, 0.2, 0.1)
"""Probabilities of the groups that members are put into: from the least energy to the most."""


@dataclass(frozen=True, slots=True, eq=False)
class Scenarios:
    """K futures of n prosumers over H steps, each prosumer with futures of its own.

    `values` (n, K, H) in kW, `probability` (n, K) with rows that sum to 1; `samples` is how many draws the
    probabilities rest on, `hours` (H,) the length of the steps (an hour each when not given).
    """

    values: np.ndarray
    probability: np.ndarray
    samples: int
    hours: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.probability.shape != self.values.shape[:2]:
            raise ValueError(f"scenarios (n, K, H) {self.values.shape} with probability {self.probability.shape}")
        if self.hours is not None and self.hours.shape != self.values.shape[2:]:
            raise ValueError(f"scenarios over {self.values.shape[2]} steps with hours {self.hours.shape}")
        if not np.isfinite(self.values).all():
            raise ValueError("scenarios hold NaN or infinity")
        if not np.all(self.probability >= 0.0) or not np.allclose(self.probability.sum(axis=1), 1.0, rtol=0, atol=1e-9):
            raise ValueError("probabilities of scenarios are not negative and sum to 1 for every prosumer")
        if self.samples < 1:
            raise ValueError(f"scenarios rest on {self.samples} samples; at least 1 is needed")

    @property
    def count(self) -> int:
        """Number of scenarios a prosumer."""
        return int(self.values.shape[1])

    def take(self, rows: np.ndarray) -> "Scenarios":
        """Return the futures of some prosumers only."""
        return Scenarios(self.values[rows], self.probability[rows], self.samples, self.hours)

    def mean(self) -> np.ndarray:
        """Return the nominal expectation (n, H) kW."""
        expected: np.ndarray = np.einsum("nk,nkh->nh", self.probability, self.values)
        return expected

    def energy_kwh(self) -> np.ndarray:
        """Return the energy of each scenario over all steps (n, K)."""
        return _energy_kwh(self.values, self.hours)


def _energy_kwh(values: np.ndarray, hours: np.ndarray | None) -> np.ndarray:
    total: np.ndarray = (values if hours is None else values * hours).sum(axis=-1)
    return total


def reduced(members: np.ndarray, hours: np.ndarray, shares: Sequence[float] = SHARES) -> Scenarios:
    """Return few scenarios that keep the mean of many: per prosumer, members of like energy become their mean.

    Members are sorted by energy (equal ones stay in their order) and cut into groups of `shares` of their
    number, in whole members by largest remainder; a group's probability is its number of members over M.
    Groups too small for one member drop out, so one member gives one scenario; members that are all equal
    give equal scenarios.

    Args:
        members: an ensemble (M, n, H) in kW, averaged over the steps of the horizon.
        hours: length of the steps (H,).
        shares: probabilities (K,) that sum to 1, from the least energy to the most.
    """
    if members.ndim != 3 or not len(members):
        raise ValueError(f"an ensemble is (members, n, H) with one member or more, got {members.shape}")
    sizes = _whole_members(np.asarray(shares, float), len(members))
    order = np.argsort(_energy_kwh(members, hours), axis=0, kind="stable")
    ranked = np.take_along_axis(members, order[:, :, None], axis=0)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    atoms = np.add.reduceat(ranked, first, axis=0) / sizes[:, None, None]
    probability = np.broadcast_to(sizes / len(members), (members.shape[1], len(sizes)))
    return Scenarios(atoms.transpose(1, 0, 2), probability, len(members), hours)


def _whole_members(shares: np.ndarray, members: int) -> np.ndarray:
    """Apportion members to groups by largest remainder, earlier groups first among equals; leave out empty ones."""
    if shares.ndim != 1 or not np.all(shares > 0.0) or abs(shares.sum() - 1.0) > 1e-9:
        raise ValueError(f"shares of probability are positive and sum to 1, got {shares.tolist()}")
    quota = shares * members
    sizes = np.floor(quota + 1e-9).astype(np.int64)
    # Rounded: equal remainders must tie, whatever their last digit.
    remainder = np.round(quota - sizes, 9)
    sizes[np.argsort(-remainder, kind="stable")[: members - sizes.sum()]] += 1
    return sizes[sizes > 0]
