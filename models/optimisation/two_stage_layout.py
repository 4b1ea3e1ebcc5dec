"""Where each number of a prosumer's two-stage program stands: the variables, the rows, and their entries.

Everything is ordered by time, so that a factorisation runs along the horizon with a narrow front; the worst
case over the scenarios is the only thing that ties all steps together. Three observations keep it small:

* A step whose generation is the same in every scenario needs its real-time market only once.
* ``late_sell (p - P)`` costs the same in every scenario but for what is curtailed, so the part that is the same
  leaves the worst case (probabilities sum to one) and a scenario's row holds only what is its own.
* Generation, real-time sales and net power P need no variables: ``P = own + available - cut + shed - spill``,
  where own is what the devices and fixed demand make together.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from cosim.models.optimisation.quadratic import Pattern

_LAYOUTS = 256


@dataclass(frozen=True, slots=True)
class Shape:
    """What the sparsity of a prosumer's program depends on; prosumers of one shape are solved side by side.

    Attributes:
        scenarios: number of scenarios K.
        uncertain: for each step, whether the scenarios differ in it.
        cut: for each step, whether there is generation that may be reduced.
        flexible: which of the flexible powers there are.
        battery: whether there is a battery.
        pool: whether anything may be traded in the pool.
        pulled: whether a negotiation pulls at room and trade.
        shed: whether demand could ever have to be dropped.
        spill: whether power could ever have to be dumped.
        duals: number of dual variables of the ambiguity set.
        links: entries (row, dual variable) of the set's rows that are not zero.
        picks: entries (row, scenario) of the set's rows that are not zero.
    """

    scenarios: int
    uncertain: tuple[bool, ...]
    cut: tuple[bool, ...]
    flexible: tuple[int, ...]
    battery: bool
    pool: bool
    pulled: bool
    shed: bool
    spill: bool
    duals: int
    links: tuple[tuple[int, int], ...]
    picks: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Entries:
    """Matrix entries that take their values from one table: entry k has the value of the table's row source[k]."""

    row: np.ndarray
    col: np.ndarray
    table: str
    source: np.ndarray


@dataclass(frozen=True, eq=False)
class Layout:
    """The places of one shape.

    Attributes:
        shape: whose places these are.
        pattern: the sparsity, for the solver.
        variable: indices of the variables by name: a variable a step, a copy, or a scenario.
        row: indices of the rows by name, likewise.
        matrix: the entries of A, in the pattern's order.
        hessian: the entries of H, in the pattern's order.
        copy_step: step of each copy of the real-time market (S,).
        copy_scenario: scenario of each copy (S,); any where all are the same.
        apart: copies of uncertain steps, one a scenario.
        cut: copies with generation that may be reduced.
    """

    shape: Shape
    pattern: Pattern
    variable: dict[str, np.ndarray]
    row: dict[str, np.ndarray]
    matrix: tuple[Entries, ...]
    hessian: tuple[Entries, ...]
    copy_step: np.ndarray
    copy_scenario: np.ndarray
    apart: np.ndarray
    cut: np.ndarray


@lru_cache(maxsize=_LAYOUTS)
def layout_of(shape: Shape) -> Layout:
    """Return the places of a shape."""
    copies = [
        (step, scenario)
        for step, uncertain in enumerate(shape.uncertain)
        for scenario in range(shape.scenarios if uncertain else 1)
    ]
    copy_step, copy_scenario = (np.array(column, dtype=np.int64) for column in zip(*copies, strict=True))
    apart = np.flatnonzero(np.array(shape.uncertain)[copy_step])
    cut = np.flatnonzero(np.array(shape.cut)[copy_step])
    plan = _Plan(shape, copy_step, copy_scenario, apart, cut)
    plan.first_stage()
    plan.real_time()
    if apart.size:
        plan.worst_case()
    return plan.layout()


@dataclass
class _Plan:
    """A layout in the making: names first, indices when all names are known."""

    shape: Shape
    copy_step: np.ndarray
    copy_scenario: np.ndarray
    apart: np.ndarray
    cut: np.ndarray
    variables: dict[str, np.ndarray] = field(default_factory=dict)
    rows: dict[str, np.ndarray] = field(default_factory=dict)
    terms: list[tuple[str, np.ndarray, str, np.ndarray, str, np.ndarray]] = field(default_factory=list)

    @property
    def steps(self) -> np.ndarray:
        """Every step of the horizon (H,)."""
        return np.arange(len(self.shape.uncertain))

    def term(
        self,
        row: str,
        variable: str,
        table: str,
        *,
        at: np.ndarray | None = None,
        of: np.ndarray | None = None,
        source: np.ndarray | None = None,
    ) -> None:
        """Enter a variable into rows: by default the k-th into the k-th, with the table's k-th value."""
        at = np.arange(len(self.rows[row])) if at is None else at
        of = at if of is None else of
        self.terms.append((row, at, variable, of, table, of if source is None else source))

    def first_stage(self) -> None:
        """Contract, devices and their stores, step by step; ``net = own power`` is left to real time."""
        shape, steps = self.shape, self.steps
        for name in ("net", "buy", "sell", "own"):
            self.variables[name] = steps
        self.rows["contract"] = self.rows["own"] = steps
        for name, sign in (("net", "plus"), ("sell", "minus"), ("buy", "plus")):
            self.term("contract", name, sign)
        if shape.pool:
            self.variables["pool_sell"] = self.variables["pool_buy"] = steps
            self.term("contract", "pool_sell", "minus")
            self.term("contract", "pool_buy", "plus")
        self.term("own", "own", "plus")
        if shape.battery:
            self._battery()
        for index in shape.flexible:
            self._flexible(f"flexible_{index}", f"sum_{index}")
        if shape.pulled:
            for edge, sign in (("lower", "plus"), ("upper", "minus")):
                self.variables[edge] = self.rows[f"net_{edge}"] = steps
                self.term(f"net_{edge}", "net", sign)
                self.term(f"net_{edge}", edge, "minus" if sign == "plus" else "plus")

    def _battery(self) -> None:
        steps = self.steps
        self.variables["charge"] = self.variables["discharge"] = self.variables["soc"] = self.rows["soc"] = steps
        self.variables["short"] = self.rows["end"] = steps[-1:]
        self.term("own", "charge", "plus")
        self.term("own", "discharge", "minus")
        self._chain("soc", "soc")
        self.term("soc", "charge", "stored")
        self.term("soc", "discharge", "taken")
        first = np.zeros(1, dtype=np.int64)
        self.term("end", "soc", "plus", at=first, of=steps[-1:])
        self.term("end", "short", "plus")

    def _flexible(self, power: str, total: str) -> None:
        self.variables[power] = self.variables[total] = self.rows[total] = self.steps
        self.term("own", power, "minus")
        self._chain(total, total)
        self.term(total, power, "elapsed")

    def _chain(self, row: str, store: str) -> None:
        """Enter what a store gains from the end of one step to the end of the next."""
        self.term(row, store, "plus")
        self.term(row, store, "minus", at=self.steps[1:], of=self.steps[:-1])

    def real_time(self) -> None:
        """Enter the real-time market: purchases make up for what net power lacks, and the band holds."""
        shape, step = self.shape, self.copy_step
        self.variables["late"] = self.rows["late"] = step
        self.term("late", "late", "plus")
        self.term("late", "net", "minus", of=step)
        self._power("late", "plus", "minus")
        if not shape.pulled:
            self.rows["band"] = step
            self._power("band", "plus", "minus")
            return
        for edge, sign, other in (("lower", "plus", "minus"), ("upper", "minus", "plus")):
            self.rows[f"band_{edge}"] = step
            self._power(f"band_{edge}", sign, other)
            self.term(f"band_{edge}", edge, other, of=step)

    def _power(self, row: str, plus: str, minus: str) -> None:
        """Enter what the devices and the copy's own generation make together."""
        self.term(row, "own", plus, of=self.copy_step)
        if self.cut.size:
            self.variables["cut"] = self.copy_step[self.cut]
            self.term(row, "cut", minus, at=self.cut, of=np.arange(self.cut.size))
        for name, wanted, sign in (("shed", self.shape.shed, plus), ("spill", self.shape.spill, minus)):
            if wanted:
                self.variables[name] = self.copy_step
                self.term(row, name, sign)

    def worst_case(self) -> None:
        """Enter what each scenario costs and the dual form of the worst case over their probabilities."""
        shape, last = self.shape, len(self.shape.uncertain)
        scenarios = np.arange(shape.scenarios)
        self.variables["cost"] = self.rows["cost"] = np.full(shape.scenarios, last)
        self.term("cost", "cost", "plus", at=scenarios)
        for name in ("late", "shed", "spill"):
            if name in self.variables:
                at = self.copy_scenario[self.apart]
                self.term("cost", name, f"{name}_cost", at=at, of=self.apart, source=self.apart)
        own = np.isin(self.cut, self.apart)
        if own.any():
            where = self.cut[own]
            at = self.copy_scenario[where]
            self.term("cost", "cut", "cut_cost", at=at, of=np.flatnonzero(own), source=where)
        self.variables["dual"] = np.full(shape.duals, last)
        links, picks = (np.array(part, dtype=np.int64).reshape(-1, 2).T for part in (shape.links, shape.picks))
        self.rows["dual"] = np.full(1 + max(links[0].max(initial=-1), picks[0].max(initial=-1)), last)
        self.term("dual", "dual", "links", at=links[0], of=links[1], source=np.arange(links.shape[1]))
        self.term("dual", "cost", "picks", at=picks[0], of=picks[1], source=np.arange(picks.shape[1]))

    def layout(self) -> Layout:
        """Return the places, ordered by time."""
        variable, row = _by_time(self.variables), _by_time(self.rows)
        matrix = tuple(
            Entries(row[one][at], variable[name][of], table, _sources(table, source))
            for one, at, name, of, table, source in self.terms
        )
        hessian = _hessian(self.shape, variable)
        pattern = Pattern(
            variables=sum(len(part) for part in variable.values()),
            rows=sum(len(part) for part in row.values()),
            hessian_row=np.concatenate([part.row for part in hessian]),
            hessian_col=np.concatenate([part.col for part in hessian]),
            row=np.concatenate([part.row for part in matrix]),
            col=np.concatenate([part.col for part in matrix]),
        )
        copies = (self.copy_step, self.copy_scenario, self.apart, self.cut)
        return Layout(self.shape, pattern, variable, row, matrix, hessian, *copies)


def _by_time(named: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return indices for the members of all names: by their step, in one step by the order of the names."""
    steps = np.concatenate(list(named.values()))
    index = np.empty(len(steps), dtype=np.int64)
    index[np.argsort(steps, kind="stable")] = np.arange(len(steps))
    ends = np.cumsum([len(part) for part in named.values()])
    return dict(zip(named, np.split(index, ends[:-1]), strict=True))


def _sources(table: str, source: np.ndarray) -> np.ndarray:
    """Return the rows of a table to read; the constants are tables of one row."""
    return np.zeros_like(source) if table in {"plus", "minus"} else source


def _hessian(shape: Shape, variable: dict[str, np.ndarray]) -> tuple[Entries, ...]:
    """Return the entries of H: its diagonal, and how sales and purchases in the pool pull together."""
    entries = [Entries(where, where, f"{name}_curve", np.arange(len(where))) for name, where in variable.items()]
    if shape.pool and shape.pulled:
        sell, buy = variable["pool_sell"], variable["pool_buy"]
        both = Entries(np.minimum(sell, buy), np.maximum(sell, buy), "pool_cross", np.arange(len(sell)))
        entries.append(both)
    return tuple(entries)
