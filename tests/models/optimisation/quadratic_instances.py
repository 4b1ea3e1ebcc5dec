"""Quadratic programs that have an optimum, drawn from one number: of no structure, of a battery, and of a feeder."""

from dataclasses import replace

import numpy as np

from cosim.models.optimisation.quadratic import Pattern, Quadratic


def times_matrix(q, x):
    """Return A x (rows, k)."""
    total = np.zeros((q.pattern.rows, q.lanes))
    np.add.at(total, q.pattern.row, q.matrix * x[q.pattern.col])
    return total


def times_transposed(q, y):
    """Return A' y (variables, k)."""
    total = np.zeros((q.pattern.variables, q.lanes))
    np.add.at(total, q.pattern.col, q.matrix * y[q.pattern.row])
    return total


def times_hessian(q, x):
    """Return H x (variables, k)."""
    p, total = q.pattern, np.zeros((q.pattern.variables, q.lanes))
    off = p.hessian_row != p.hessian_col
    np.add.at(total, p.hessian_row, q.hessian * x[p.hessian_col])
    np.add.at(total, p.hessian_col[off], q.hessian[off] * x[p.hessian_row[off]])
    return total


def objective(q, x):
    """Return x'Hx / 2 + c'x (k,)."""
    return (0.5 * x * times_hessian(q, x) + q.cost * x).sum(axis=0)


def random_pattern(rng, variables, rows):
    """Draw where numbers stand; every row and every variable off the diagonal of H has its own."""
    matrix = rng.random((rows, variables)) < 3.0 / variables
    matrix[np.arange(rows), rng.integers(0, variables, rows)] = True
    hessian = np.triu(rng.random((variables, variables)) < 1.0 / variables, 1)
    meets = hessian.any(axis=0) | hessian.any(axis=1)
    hessian[np.diag_indices(variables)] = meets | (rng.random(variables) < 0.5)
    return Pattern(variables, rows, *np.nonzero(hessian), *np.nonzero(matrix))


def random_programs(seed, variables, rows, lanes, *, unit=1.0, money=1.0, bend=1.0):
    """Draw programs around a known optimum: equalities, fixed and free amounts, one side, two sides, or none.

    Args:
        seed: of everything.
        variables: number of variables.
        rows: number of rows.
        lanes: number of programs.
        unit: typical amount.
        money: typical multiplier.
        bend: typical entry of H; 0 for a linear program.
    """
    rng = np.random.default_rng(seed)
    pattern = random_pattern(rng, variables, rows)
    off = pattern.hessian_row != pattern.hessian_col
    hessian = rng.normal(size=(len(off), lanes)) * off[:, None]
    weight = np.zeros((variables, lanes))
    np.add.at(weight, pattern.hessian_row[off], np.abs(hessian[off]))
    np.add.at(weight, pattern.hessian_col[off], np.abs(hessian[off]))
    # As much as its row off the diagonal: positive semidefinite, often no more than that.
    extra = rng.random((np.count_nonzero(~off), lanes)) * (rng.random((np.count_nonzero(~off), lanes)) < 0.7)
    hessian[~off] = weight[pattern.hessian_row[~off]] + extra
    x = unit * rng.normal(size=(variables, lanes))
    matrix = rng.normal(size=(len(pattern.row), lanes))
    nothing = np.zeros((variables, lanes)), np.zeros((rows, lanes))
    q = Quadratic(pattern, bend * hessian, matrix, nothing[0], nothing[1], nothing[1], nothing[0], nothing[0])
    amounts = times_matrix(q, x)
    row_lower, row_upper, row_dual = _limits(rng, amounts, unit, money, 0.3)
    lower, upper, bound_dual = _limits(rng, x, unit, money, 0.1)
    cost = times_transposed(q, row_dual) + bound_dual - times_hessian(q, x)
    return replace(q, cost=cost, row_lower=row_lower, row_upper=row_upper, lower=lower, upper=upper)


def _limits(rng, amounts, unit, money, equal):
    """Draw limits about amounts, and multipliers that hold the amounts where they are."""
    room = unit * rng.exponential(1.0, (2, *amounts.shape)) * (rng.random((2, *amounts.shape)) < 0.7)
    lower, upper = amounts - room[0], amounts + room[1]
    side = rng.random(amounts.shape)
    lower[side < 0.35], upper[(side > 0.25) & (side < 0.6)] = -np.inf, np.inf
    same = rng.random(amounts.shape) < equal
    lower[same] = upper[same] = amounts[same]
    dual = money * np.abs(rng.normal(size=amounts.shape))
    either = rng.random(amounts.shape) < 0.5
    below, above = lower == amounts, upper == amounts
    signed = np.where(below & (either | ~above), dual, np.where(above, -dual, 0.0))
    return lower, upper, signed


class Builder:
    """Collects variables and rows of a program by name, and draws its numbers once per lane."""

    def __init__(self, lanes):
        self.lanes = lanes
        self.names, self.limits, self.cost, self.bend = {}, [], [], []
        self.row, self.col, self.value, self.row_limits = [], [], [], []

    def variable(self, name, low=-np.inf, high=np.inf, cost=0.0, bend=0.0):
        """Add a variable; numbers may be one or one per lane."""
        self.names[name] = len(self.names)
        self.limits.append((self._lanes(low), self._lanes(high)))
        self.cost.append(self._lanes(cost))
        self.bend.append(self._lanes(bend))

    def add(self, terms, low=-np.inf, high=np.inf):
        """Add a row of terms {name: coefficient}."""
        for name, coefficient in terms.items():
            self.row.append(len(self.row_limits))
            self.col.append(self.names[name])
            self.value.append(self._lanes(coefficient))
        self.row_limits.append((self._lanes(low), self._lanes(high)))

    def build(self):
        """Return the programs."""
        bend = np.array(self.bend)
        bent = np.flatnonzero(bend.any(axis=1))
        row, col = np.array(self.row), np.array(self.col)
        pattern = Pattern(len(self.names), len(self.row_limits), bent, bent, row, col)
        limits, row_limits = np.array(self.limits), np.array(self.row_limits)
        columns = (row_limits[:, 0], row_limits[:, 1], limits[:, 0], limits[:, 1])
        return Quadratic(pattern, bend[bent], np.array(self.value), np.array(self.cost), *columns)

    def _lanes(self, value):
        return np.broadcast_to(np.asarray(value, dtype=float), (self.lanes,))


def battery_programs(seed, lanes, steps=24, scenarios=5):
    """Plan a battery against scenarios of load and sun: a chain in time with a worst case over all of it."""
    rng, b = np.random.default_rng(seed), Builder(lanes)
    b.variable("worst", cost=1.0)
    for s in range(scenarios):
        b.variable(("peak", s), 0.0, cost=0.02 / scenarios)
    for t in range(steps):
        _battery_step(b, rng, t, scenarios)
    late = rng.uniform(0.25, 0.4, (2, steps, lanes))
    for s in range(scenarios):
        bought = {("buy", t, s): -late[0, t] for t in range(steps)}
        sold = {("sell", t, s): 0.2 * late[1, t] for t in range(steps)}
        b.add({"worst": 1.0} | bought | sold, low=0.0)
    return b.build()


def _battery_step(b, rng, t, scenarios):
    """Add one step: the battery, the envelope asked for, and what each scenario makes of it."""
    lanes = b.lanes
    power = 3.0
    b.variable(("stored", t), 0.0, 10.0, cost=-0.01 if t == 23 else 0.0)
    b.variable(("charge", t), 0.0, power, cost=0.01)
    b.variable(("discharge", t), 0.0, power, cost=0.01)
    b.variable(("trade", t), -20.0, 20.0, -rng.uniform(0.1, 0.3, lanes), 1e-3)
    wish = rng.uniform(0.0, 4.0, (2, lanes))
    b.variable(("low", t), -11.0, cost=1e-3 * wish[0], bend=1e-3)
    b.variable(("high", t), -np.inf, 11.0, -1e-3 * wish[1], 1e-3)
    before = {("stored", t - 1): -1.0} if t else {}
    start = 0.0 if t else 5.0
    b.add({("stored", t): 1.0, ("charge", t): -0.95, ("discharge", t): 1.0 / 0.95} | before, start, start)
    b.add({("trade", t): 1.0, ("low", t): -1.0}, low=0.0)
    b.add({("trade", t): 1.0, ("high", t): -1.0}, high=0.0)
    for s in range(scenarios):
        load, sun = rng.gamma(2.0, 0.8, lanes), 6.0 * max(0.0, np.sin(np.pi * (t - 6) / 12)) * rng.random(lanes)
        b.variable(("sun", t, s), 0.0, sun)
        b.variable(("buy", t, s), 0.0)
        b.variable(("sell", t, s), 0.0)
        b.variable(("net", t, s))
        own = {("sun", t, s): 1.0, ("charge", t): -1.0, ("discharge", t): 1.0}
        b.add({("net", t, s): -1.0} | own, load, load)
        b.add({("net", t, s): 1.0, ("trade", t): -1.0, ("sell", t, s): -1.0, ("buy", t, s): 1.0}, 0.0, 0.0)
        b.add({("net", t, s): 1.0, ("low", t): -1.0}, low=0.0)
        b.add({("net", t, s): 1.0, ("high", t): -1.0}, high=0.0)
        b.add({("net", t, s): 1.0, ("peak", s): 1.0}, low=0.0)


def feeder_programs(seed, lanes, buses=33):
    """Grant room on a tree: lower, upper and net power per bus near what was asked for, flows within ratings."""
    rng, b = np.random.default_rng(seed), Builder(lanes)
    parent = [int(rng.integers(max(0, bus - 3), bus)) for bus in range(1, buses)]
    for bus in range(buses):
        for layer, sign in (("lower", -1.0), ("upper", 1.0), ("net", 0.0)):
            wish = sign * rng.uniform(0.0, 60.0, lanes) + rng.normal(size=lanes)
            b.variable((layer, bus), -100.0, 100.0, -1e-4 * wish, 1e-4)
        b.add({("upper", bus): 1.0, ("net", bus): -1.0}, low=0.0)
        b.add({("net", bus): 1.0, ("lower", bus): -1.0}, low=0.0)
    for layer in ("lower", "upper", "net"):
        for bus in range(buses - 1, 0, -1):
            b.variable(("flow", layer, bus), -150.0, 150.0, 0.0, 1e-6)
        for bus in range(1, buses):
            below = {("flow", layer, child): 1.0 for child in range(bus + 1, buses) if parent[child - 1] == bus}
            b.add({("flow", layer, bus): -1.0, (layer, bus): 1.0} | below, 0.0, 0.0)
    return b.build()
