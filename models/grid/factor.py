"""Triangular factors of the admittance among load buses, as the sweeps that the kernels run over."""

from typing import Any

import numpy as np
from scipy.sparse import csc_array, csr_array, tril, triu
from scipy.sparse.linalg import splu

from cosim.models.grid.admittance import Admittance
from cosim.models.grid.lanes import Layout, Sweeps

RESIDUAL = 1e-9


def pairs(values: np.ndarray) -> np.ndarray:
    """Real and imaginary parts (n, 2) of complex numbers (n,)."""
    return np.column_stack([values.real, values.imag])


def factorise(own: Admittance) -> tuple[Sweeps, Layout] | None:
    """Factorise once, with the diagonal as pivots; None where those do not carry (Newton has to).

    Rows are eliminated by minimum degree, which fills nothing in on a radial feeder. The columns of the
    voltages are the internal buses.
    """
    load, ref = own.pq, own.ref
    if not len(load):
        return None
    inner = csc_array(own.ybus[load][:, load])
    factor: Any = splu(inner, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    row = factor.perm_r.astype(np.int64)
    if not np.array_equal(row, factor.perm_c) or not _residual(factor, inner) < RESIDUAL:
        return None
    bus = np.empty_like(load)
    bus[row] = load
    column = np.concatenate([bus, ref])
    weight = np.empty(len(load), dtype=complex)
    weight[row] = factor.solve(own.ybus[ref][:, load].T @ np.conj(own.v_slack), trans="T")
    number = np.empty(own.size, dtype=np.int64)
    number[column] = np.arange(own.size)
    idle_pu = (own.v_slack * np.conj((own.ybus @ own.no_load)[ref])).real.sum()
    layout = Layout(
        idle=pairs(own.no_load[column]),
        weight=pairs(weight),
        column=column,
        place=np.where(own.energised, number[own.internal], -1),
        scale=np.array([own.base_kva, idle_pu]),
    )
    return _sweeps(factor, own.no_load[bus], own.size), layout


def transposed(sweeps: Sweeps) -> Sweeps:
    """Sweeps that apply the transpose of Z, to changes (slacks do not move)."""
    n = len(sweeps.step)
    size = int(max(sweeps.lower_column.max(initial=0), sweeps.upper_column.max(initial=0), n)) + 1
    lower, upper = (
        csr_array((entries[:, 0] + 1j * entries[:, 1], column, start), shape=(n, size))[:, :n].T.tocsr()
        for start, column, entries in (sweeps[0:3], sweeps[3:6])
    )
    step = np.column_stack([sweeps.step[:, :2], np.zeros((n, 2))])
    return Sweeps(*_padded(upper, n), *_padded(lower, n), step)


def _sweeps(factor: Any, idle: np.ndarray, nothing: int) -> Sweeps:
    """Turn L and U, with rows in elimination order, and voltages without injections (n,) into sweeps."""
    full = csr_array(factor.U)
    step = 1.0 / full.diagonal()
    lower = -tril(csr_array(factor.L), k=-1, format="csr")
    upper = -triu(full, k=1, format="csr").multiply(step[:, None]).tocsr()
    constant = idle - upper @ idle
    return Sweeps(*_padded(lower, nothing), *_padded(upper, nothing), np.column_stack([pairs(step), pairs(constant)]))


def _padded(matrix: csr_array, nothing: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of a sparse matrix as start, column and entries; an empty row gets a zero at column `nothing`."""
    entries = csr_array(matrix).tocoo()
    row, column = entries.coords
    used = entries.data != 0
    empty = np.setdiff1d(np.arange(matrix.shape[0]), row[used])
    rows = np.concatenate([row[used], empty]).astype(np.int64)
    columns = np.concatenate([column[used], np.full(len(empty), nothing)]).astype(np.int64)
    data = pairs(np.concatenate([entries.data[used], np.zeros(len(empty))]))
    order = np.lexsort((columns, rows))
    start = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=matrix.shape[0]))])
    return start.astype(np.int64), columns[order], data[order]


def _residual(factor: Any, matrix: csc_array) -> float:
    """Return how far the solution of one system is from a solution, relative to its right-hand side of ones."""
    right = np.ones(matrix.shape[0], dtype=complex)
    return float(np.abs(matrix @ factor.solve(right) - right).max())
