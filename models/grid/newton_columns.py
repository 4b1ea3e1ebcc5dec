"""What the compiled Newton works on: columns of a network and of the point where it stands."""

from typing import NamedTuple

import numpy as np

MAX_ITERATIONS = 25


class Net(NamedTuple):
    """A network with n load buses in the order of elimination, one block of it after the other.

    Attributes:
        bus: internal bus of each place (n,).
        start: where the row of each place begins among the admittances (n + 1,).
        column: internal bus of each admittance (e,).
        y: admittances, complex in pu (e, 2).
        spot: block of the Jacobian of each admittance (e,), -1 for that to a slack.
        fill_start: where the factor's blocks below each place begin (n + 1,).
        fill_row: their places, ascending (f,).
        pair_start: where the pairs of them begin (n + 1,).
        pair: block of the factor that joins each pair, the first of them being the column (p,).

    """

    bus: np.ndarray
    start: np.ndarray
    column: np.ndarray
    y: np.ndarray
    spot: np.ndarray
    fill_start: np.ndarray
    fill_row: np.ndarray
    pair_start: np.ndarray
    pair: np.ndarray


class Point(NamedTuple):
    """Where the method stands, by internal bus: voltages (2, N), their magnitudes and angles, injections (2, N)."""

    voltage: np.ndarray
    magnitude: np.ndarray
    angle: np.ndarray
    injection: np.ndarray


class Space(NamedTuple):
    """Scratch: blocks on the diagonal, below and above it (n + 2 f, 4), and the right-hand side (n, 2)."""

    block: np.ndarray
    right: np.ndarray
