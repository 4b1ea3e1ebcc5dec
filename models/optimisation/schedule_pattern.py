"""The sparse shape of a prosumer's program, and its numbers for many prosumers at once.

The rows are affine in two products of battery efficiencies and the costs in a few weights per prosumer, so
the matrices of a cohort are a short sum of outer products: nothing is assembled per prosumer.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from cosim.models.optimisation.program import SHED_EUR_PER_KWH, SMOOTHING_EUR_PER_KWH, Program

CONSUMERS = ("ev", "shiftable", "heat_pump")
LIMITED = ("curtail", "shed", "spill")
PARTS = ("battery", *CONSUMERS, *LIMITED, "target", "v2g")
_REGULAR = 1e-6
_TERMS = 4


@dataclass(frozen=True, slots=True)
class Pattern:
    """Matrices of one set of devices over H steps, N variables and M rows.

    Attributes:
        parts: optional parts present, names out of `PARTS`.
        hours: length of each step (H,).
        variables: blocks of H variables, in order.
        rows: blocks of H rows, in order.
        a_index: row indices and column starts of A, csc.
        a_terms: A's entries (4, nnz): constant, times eta_d, times eta_c eta_d, over the cars' eta.
        p_index: likewise for the upper triangle of P.
        p_terms: P's entries (K, nnz), one row per weight of `numbers`.
    """

    parts: tuple[str, ...]
    hours: np.ndarray
    variables: tuple[str, ...]
    rows: tuple[str, ...]
    a_index: tuple[np.ndarray, np.ndarray]
    a_terms: np.ndarray
    p_index: tuple[np.ndarray, np.ndarray]
    p_terms: np.ndarray

    @classmethod
    def build(cls, present: tuple[bool, ...], hours: np.ndarray) -> "Pattern":
        """Return the pattern of prosumers with these parts, bools in the order of `PARTS`."""
        parts = tuple(name for name, here in zip(PARTS, present, strict=True) if here)
        battery = ("stored", "charge") if "battery" in parts else ()
        devices = tuple(name for name in (*CONSUMERS, *LIMITED) if name in parts)
        variables = (*battery, *devices, *(("v2g",) if "v2g" in parts else ()), "net", "bought")
        powers = _powers(variables, hours)
        rows = _rows(variables, powers, len(hours))
        a_index, a_terms = _sparse(np.stack([np.concatenate([row[k] for row in rows.values()]) for k in range(_TERMS)]))
        p_index, p_terms = _sparse(np.triu(_quadratics(variables, powers, hours)))
        return cls(parts, hours, variables, tuple(rows), a_index, a_terms, p_index, p_terms)

    def a_matrix(self, data: np.ndarray) -> sparse.csc_matrix:
        """Return A with these entries."""
        steps = len(self.hours)
        return sparse.csc_matrix((data, *self.a_index), shape=(len(self.rows) * steps, len(self.variables) * steps))

    def p_matrix(self, data: np.ndarray) -> sparse.csc_matrix:
        """Return the upper triangle of P with these entries."""
        size = len(self.variables) * len(self.hours)
        return sparse.csc_matrix((data, *self.p_index), shape=(size, size))

    def read(self, program: Program, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        """Return the moves (n, H) in kW and values that points x (n, N) and multipliers y (n, M) mean."""
        problem, base = program.problem, base_kw(program)[:, None]
        at = {name: base * x[:, _block(self.variables, name, len(self.hours))] for name in self.variables}
        read = {}
        for name in CONSUMERS:
            if name in at:
                power = np.diff(at[name], axis=1, prepend=0.0) / self.hours
                if name == "ev" and "v2g" in at:
                    read["v2g_kw"] = np.clip(at["v2g"], 0.0, program.v2g_kw)
                    power = power + at["v2g"] * _over_efficiency(program)[:, None]
                read[f"{name}_kw"] = np.clip(power, 0.0, getattr(problem, name).power_kw)
        if "stored" in at:
            gain, loss = (
                problem.battery.charge_efficiency[:, None],
                problem.battery.discharge_efficiency[:, None],
            )
            change = np.diff(at["stored"], axis=1, prepend=0.0) / self.hours
            read["charge_kw"] = np.clip(at["charge"], 0.0, program.charge_kw)
            read["discharge_kw"] = np.clip(loss * (gain * at["charge"] - change), 0.0, program.discharge_kw)
        for name in LIMITED:
            if name in at:
                least = np.where(at[name] > 1e-6 * base, at[name], 0.0)
                read[f"{name}_kw"] = np.minimum(least, getattr(program, f"{name}_kw"))
        contract = y[:, _block(self.rows, "contract", len(self.hours))] / self.hours
        value = problem.sell_eur_per_kwh - contract
        read["value_eur_per_kwh"] = np.clip(value, problem.sell_eur_per_kwh, problem.buy_eur_per_kwh)
        read["envelope_value_eur_per_kwh"] = y[:, _block(self.rows, "envelope", len(self.hours))] / self.hours
        return read


@dataclass(frozen=True, slots=True)
class Numbers:
    """Programs of n prosumers with one pattern: p (n, nnz), q (n, N), a (n, nnz), lower, upper (n, M)."""

    p: np.ndarray
    q: np.ndarray
    a: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def base_kw(program: Program) -> np.ndarray:
    """Return each prosumer's own unit of power (n,): the largest in its program."""
    problem = program.problem
    columns = [-problem.fixed_kw, problem.available_kw, np.abs(problem.position_kw), program.charge_kw]
    columns += [getattr(problem, name).power_kw for name in CONSUMERS]
    columns.append(program.v2g_kw)
    largest: np.ndarray = np.max([column.max(axis=1) for column in columns], axis=0)
    return np.where(largest > 0.0, largest, 1.0)


def numbers(pattern: Pattern, program: Program) -> Numbers:
    """Return the numbers of every prosumer of a program whose devices are those of the pattern."""
    base = base_kw(program)[:, None]
    battery = program.problem.battery
    loss, both = battery.discharge_efficiency, battery.discharge_efficiency * battery.charge_efficiency
    a = _combine(np.stack([np.ones_like(loss), loss, both, _over_efficiency(program)], axis=1), pattern.a_terms)
    bounds = _bounds(pattern, program)
    return Numbers(
        p=_p_data(pattern, program, base),
        q=_linear(pattern, program),
        a=a,
        lower=np.concatenate([low / base for low, _ in bounds], axis=1),
        upper=np.concatenate([high / base for _, high in bounds], axis=1),
    )


def _powers(variables: tuple[str, ...], hours: np.ndarray) -> dict[str, np.ndarray]:
    """Power of each device as rows over the variables (4, H, N), the first axis as in `Pattern.a_terms`."""
    steps = len(hours)
    rate = (np.eye(steps) - np.eye(steps, k=-1)) / hours[:, None]
    powers = {}
    for name in variables:
        if name in ("net", "bought", "stored"):
            continue
        powers[name] = np.zeros((_TERMS, steps, steps * len(variables)))
        powers[name][0, :, _block(variables, name, steps)] = rate if name in CONSUMERS else np.eye(steps)
    if "v2g" in variables:
        powers["ev"][3, :, _block(variables, "v2g", steps)] = np.eye(steps)
    if "stored" in variables:
        discharge = np.zeros((_TERMS, steps, steps * len(variables)))
        discharge[1, :, _block(variables, "stored", steps)] = -rate
        discharge[2, :, _block(variables, "charge", steps)] = np.eye(steps)
        powers["discharge"] = discharge
    return powers


def _rows(variables: tuple[str, ...], powers: dict[str, np.ndarray], steps: int) -> dict[str, np.ndarray]:
    """Return the row blocks (4, H, N): powers, cumulative energies, balance, envelope, contract, purchase."""
    unit = {}
    for name in variables:
        unit[name] = np.zeros((_TERMS, steps, steps * len(variables)))
        unit[name][0, :, _block(variables, name, steps)] = np.eye(steps)
    sign = {"discharge": 1.0, "shed": 1.0, "v2g": 1.0}
    produced = sum(sign.get(name, -1.0) * power for name, power in powers.items())
    rows = {f"{name} power": power for name, power in powers.items()}
    rows |= {f"{name} energy": unit[name] for name in variables if name in (*CONSUMERS, "stored")}
    rows["balance"] = unit["net"] - produced
    rows["envelope"] = unit["net"]
    rows["contract"] = unit["net"] + unit["bought"]
    rows["purchase"] = unit["bought"]
    return rows


def _quadratics(variables: tuple[str, ...], powers: dict[str, np.ndarray], hours: np.ndarray) -> np.ndarray:
    """Return the quadratic forms (K, N, N) whose weights `_weights` gives, in the same order."""
    forms = [np.eye(len(variables) * len(hours))]
    scaled = {name: power * np.sqrt(hours)[:, None] for name, power in powers.items()}
    forms += [scaled[name][0].T @ scaled[name][0] for name in (*CONSUMERS, "curtail", "charge") if name in scaled]
    if "discharge" in scaled:
        _, stored, charge, _ = scaled["discharge"]
        forms += [charge.T @ charge, charge.T @ stored + stored.T @ charge, stored.T @ stored]
    if "v2g" in scaled:
        charged, given = scaled["ev"][0], scaled["ev"][3]
        forms += [charged.T @ given + given.T @ charged, given.T @ given]
    return np.stack(forms)


def _weights(pattern: Pattern, program: Program, base: np.ndarray) -> np.ndarray:
    """Return the weights (n, K) of the quadratic forms: smoothing by each device's own power."""
    problem = program.problem
    columns = [np.full(len(base), _REGULAR)]
    for name in (*CONSUMERS, "curtail"):
        if name in pattern.variables:
            power = program.curtail_kw if name == "curtail" else getattr(problem, name).power_kw
            columns.append(SMOOTHING_EUR_PER_KWH * base[:, 0] / power.max(axis=1))
    if "battery" in pattern.parts:
        weight = SMOOTHING_EUR_PER_KWH * base[:, 0] / problem.battery.power_kw
        gain, loss = problem.battery.charge_efficiency, problem.battery.discharge_efficiency
        columns += [weight, weight * (gain * loss) ** 2, weight * gain * loss**2, weight * loss**2]
    if "v2g" in pattern.parts:
        weight, over = SMOOTHING_EUR_PER_KWH * base[:, 0] / problem.ev.power_kw.max(axis=1), _over_efficiency(program)
        columns += [weight * over, weight * over**2 + SMOOTHING_EUR_PER_KWH * base[:, 0] / program.v2g_kw.max(axis=1)]
    return np.stack(columns, axis=1)


def _over_efficiency(program: Program) -> np.ndarray:
    """Return what giving a kWh back takes out of the cars (n,)."""
    v2g = program.problem.v2g
    return np.ones(program.problem.prosumers) if v2g is None else 1.0 / v2g.efficiency


def _p_data(pattern: Pattern, program: Program, base: np.ndarray) -> np.ndarray:
    """Return the entries (n, nnz) of P's upper triangle."""
    data = _combine(_weights(pattern, program, base), pattern.p_terms)
    if "target" in pattern.parts and program.problem.target_weight is not None:
        row, column = pattern.p_index[0], _columns(pattern.p_index[1])
        net = _block(pattern.variables, "net", len(pattern.hours))
        diagonal = np.flatnonzero((row == column) & (column >= net.start) & (column < net.stop))
        data[:, diagonal] += program.problem.target_weight * base
    return data


def _linear(pattern: Pattern, program: Program) -> np.ndarray:
    """Return the linear costs q (n, N) in EUR per unit of power."""
    problem, hours = program.problem, pattern.hours
    cost = {name: np.zeros_like(problem.fixed_kw) for name in pattern.variables}
    cost["net"] = -problem.sell_eur_per_kwh * hours
    cost["bought"] = (problem.buy_eur_per_kwh - problem.sell_eur_per_kwh) * hours
    for name in ("shed", "spill"):
        if name in cost:
            cost[name] = cost[name] + SHED_EUR_PER_KWH * hours
    if "v2g" in pattern.parts and problem.v2g is not None:
        cost["v2g"] = np.outer(problem.v2g.wear_eur_per_kwh, hours)
    if "battery" in pattern.parts:
        battery = problem.battery
        wear, loss = battery.wear_eur_per_kwh, battery.discharge_efficiency
        # Energy discharged over the horizon is what was charged less what is left, so its wear needs no sum.
        cost["charge"] = np.outer(wear * (1.0 + loss * battery.charge_efficiency), hours)
        cost["stored"][:, -1] = -(wear * loss + battery.terminal_value_eur_per_kwh)
    if "target" in pattern.parts and problem.target_kw is not None and problem.target_weight is not None:
        cost["net"] = cost["net"] - problem.target_weight * problem.target_kw
    return np.concatenate([cost[name] for name in pattern.variables], axis=1)


def _bounds(pattern: Pattern, program: Program) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the least and greatest values (n, H) in kW or kWh of each row block, in order."""
    problem, zeros = program.problem, np.zeros_like(program.shed_kw)
    battery = problem.battery
    soc = battery.soc_kwh
    least, most = np.minimum(battery.soc_min_kwh, soc) - soc, np.maximum(battery.soc_max_kwh, soc) - soc
    constant = problem.fixed_kw + problem.available_kw
    endless = np.full_like(zeros, np.inf)
    bounds = {
        "stored energy": (zeros + least[:, None], zeros + most[:, None]),
        "balance": (constant, constant),
        "envelope": (problem.lower_kw, problem.upper_kw),
        "contract": (problem.position_kw, endless),
        "purchase": (zeros, endless),
    }
    for name in ("charge", "discharge", "v2g", *LIMITED):
        bounds[f"{name} power"] = (zeros, getattr(program, f"{name}_kw"))
    for name in CONSUMERS:
        corridor = getattr(problem, name)
        bounds[f"{name} power"] = (zeros, corridor.power_kw)
        bounds[f"{name} energy"] = (corridor.min_kwh, corridor.max_kwh)
    return [bounds[name] for name in pattern.rows]


def _block(names: tuple[str, ...], name: str, steps: int) -> slice:
    """Return where a block of H variables or rows stands."""
    start = names.index(name) * steps
    return slice(start, start + steps)


def _sparse(terms: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Return csc indices and entries (K, nnz) of dense matrices (K, rows, columns), one pattern for all."""
    pattern = sparse.csc_matrix(np.any(terms != 0.0, axis=0))
    row, start = pattern.indices, pattern.indptr
    return (row, start), terms[:, row, _columns(start)]


def _columns(start: np.ndarray) -> np.ndarray:
    """Return the column of each stored entry from csc column starts."""
    return np.repeat(np.arange(len(start) - 1), np.diff(start))


def _combine(weights: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Return weights (n, K) times terms (K, nnz), each row the same bits whatever rows stand beside it."""
    total = np.zeros((len(weights), terms.shape[1]))
    for weight, term in zip(weights.T, terms, strict=True):
        total += weight[:, None] * term
    return total
