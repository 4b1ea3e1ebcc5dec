"""Columns that go in and out of the power flow kernels; complex ones have real and imaginary part last."""

from typing import NamedTuple

import numpy as np


class Sweeps(NamedTuple):
    """Z as sweeps over a work table: n load buses in elimination order, R slack buses, and a row of zeros.

    `lower` and `upper` (entry, 2) are complex, by row: those of row i stand from start[i] to start[i + 1]. A
    row has one entry at least; it points to the row of zeros where there would be none. `step` (n, 4) is the
    complex factor of w and the constant.
    """

    lower_start: np.ndarray
    lower_column: np.ndarray
    lower: np.ndarray
    upper_start: np.ndarray
    upper_column: np.ndarray
    upper: np.ndarray
    step: np.ndarray


class Layout(NamedTuple):
    """Where rows of the work table stand in inputs and results.

    Attributes:
        idle: voltages without injections, complex, slacks last (n + R, 2)
        weight: power from the slacks per current of a load, complex (n, 2)
        column: column of each row in the voltages that come out (n + R,)
        place: row of each feeder bus, -1 where it has no voltage (B,)
        scale: base power in kVA, and what the slacks feed in without injections in pu (2,)

    """

    idle: np.ndarray
    weight: np.ndarray
    column: np.ndarray
    place: np.ndarray
    scale: np.ndarray


class Rows(NamedTuple):
    """Injections (m, B), (m, B) and results, which stay as they are where a row does not converge.

    Attributes:
        p_kw, q_kvar: injections at feeder buses
        voltage: real and imaginary parts (2, m, N)
        vm_pu: magnitudes at feeder buses (m, B)
        power_kw: power from upstream, and loss (m, 2)
        iterations: 0 where not converged (m,)

    """

    p_kw: np.ndarray
    q_kvar: np.ndarray
    voltage: np.ndarray
    vm_pu: np.ndarray
    power_kw: np.ndarray
    iterations: np.ndarray


class Graph(NamedTuple):
    """A feeder of nothing but series impedances, as edges out of each bus.

    Attributes:
        start: where the edges of each bus begin (B + 1,)
        branch, other: branch of each edge, and the bus it leads to (2 L,)
        impedance: complex, in pu (L, 2)
        slack: slack buses (R,)
        slack_voltage: complex, in pu (R, 2)
        scale: base power in kVA, and 0.0 (2,)

    """

    start: np.ndarray
    branch: np.ndarray
    other: np.ndarray
    impedance: np.ndarray
    slack: np.ndarray
    slack_voltage: np.ndarray
    scale: np.ndarray


class Branches(NamedTuple):
    """Branches as two-ports over columns of voltages.

    Attributes:
        ports: complex yff, yft, ytf, ytt in pu (L, 8)
        rate: rated current at both ends in pu, inf where unrated (L, 2)
        start, end: columns of both ends (L,)
        scale: base power in kVA first (2,)

    """

    ports: np.ndarray
    rate: np.ndarray
    start: np.ndarray
    end: np.ndarray
    scale: np.ndarray


class Seeds(NamedTuple):
    """Quantities to differentiate at solved rows, M pairs, and their gradients.

    Attributes:
        row: row of each pair (M,)
        at: row of the work table whose voltage magnitude it is, -1 for the loss; a slack's is constant (M,)
        voltage: solved voltages, real and imaginary parts (2, m, N)
        gradient: by active and by reactive injections at feeder buses (2, M, B)
        iterations: 0 where not converged (M,)

    """

    row: np.ndarray
    at: np.ndarray
    voltage: np.ndarray
    gradient: np.ndarray
    iterations: np.ndarray
