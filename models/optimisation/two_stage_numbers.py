"""The numbers of two-stage programs, near one: each prosumer in units of its own power and money.

Power is counted in units of the prosumer's own largest power, money in units of that power times its dearest
price. How a program is laid out is said in `two_stage_layout`.
"""

from dataclasses import dataclass

import numpy as np

from cosim.models.optimisation.quadratic import Quadratic
from cosim.models.optimisation.two_stage import FlexiblePower, Pull, TwoStageProblem
from cosim.models.optimisation.two_stage_layout import Entries, Layout
from cosim.models.optimisation.two_stage_program import Program

SMOOTHING = 1e-7
"""How much dearer the last unit of anything is than the first, in terms of the dearest price: it makes the
optimum unique, and no cost changes by more than this share of the turnover."""


_CONNECTION_SHARE = 0.01
_FOLLOWS = ("net", "own", "soc", "sum_", "cost", "dual")
"""Variables that follow from others: nothing of theirs is smoothed."""


@dataclass(frozen=True, slots=True)
class Units:
    """What the numbers of each prosumer's program are counted in, (n,) each."""

    power_kw: np.ndarray
    price_eur_per_kwh: np.ndarray


def units(problem: TwoStageProblem) -> Units:
    """Return the units: the largest power of the devices, and the dearest price.

    Beside a connection far larger than all devices the unit is a share of it, for trades may be as large.
    """
    most = np.maximum(_CONNECTION_SHARE * problem.connection_kw, problem.battery.power_kw)
    most = np.maximum(most, problem.available_kw.max(axis=(1, 2)))
    most = np.maximum(most, -problem.fixed_kw.min(axis=1))
    for one in problem.flexible:
        most = np.maximum(most, np.maximum(-one.lower_kw, one.upper_kw).max(axis=1))
    dearest = np.maximum(problem.late_buy_eur_per_kwh, -problem.late_sell_eur_per_kwh).max(axis=1)
    return Units(np.where(most > 0.0, most, 1.0), dearest)


def assemble(program: Program, layout: Layout) -> Quadratic:
    """Return the programs of prosumers of one shape, side by side, in their own units."""
    filling = _Filling(program, layout, units(program.problem))
    lower, upper = filling.bounds()
    row_lower, row_upper = filling.rows()
    return Quadratic(
        layout.pattern,
        hessian=_values(layout.hessian, filling.curves()),
        matrix=_values(layout.matrix, filling.factors()),
        cost=filling.costs(),
        row_lower=row_lower,
        row_upper=row_upper,
        lower=lower,
        upper=upper,
    )


def _values(entries: tuple[Entries, ...], tables: dict[str, np.ndarray]) -> np.ndarray:
    """Return the entries' values (entries, k) from tables (table's rows, k)."""
    lanes = max(table.shape[1] for table in tables.values())
    parts = [tables[part.table][part.source] for part in entries]
    return np.concatenate([np.broadcast_to(part, (len(part), lanes)) for part in parts])


class _Filling:
    """The numbers of one shape's programs: tables (places, k), the prosumers in the last axis."""

    def __init__(self, program: Program, layout: Layout, unit: Units) -> None:
        problem = program.problem
        self.program, self.problem, self.layout = program, problem, layout
        self.power, self.price = unit.power_kw, unit.price_eur_per_kwh
        self.lanes = problem.prosumers
        self.hours = problem.hours[:, None]
        step, scenario = layout.copy_step, layout.copy_scenario
        self.copy_hours = self.hours[step]
        self.late_buy, self.late_sell = (
            self.eur(column)[step] for column in (problem.late_buy_eur_per_kwh, problem.late_sell_eur_per_kwh)
        )
        self.available = (problem.available_kw[:, scenario, step] / self.power[:, None]).T

    def kw(self, column: np.ndarray) -> np.ndarray:
        """Powers (k, m) or energies of an hour in units, (m, k)."""
        return (column / self.power[:, None]).T

    def eur(self, column: np.ndarray) -> np.ndarray:
        """Prices (k, m) in units, (m, k)."""
        return (column / self.price[:, None]).T

    def curve(self, column: np.ndarray) -> np.ndarray:
        """Weights (k, m) in EUR/kW^2h in units, (m, k)."""
        return (column * (self.power / self.price)[:, None]).T

    def flexible(self) -> list[tuple[int, FlexiblePower]]:
        """Return the flexible powers there are, with their indices."""
        return [(index, self.problem.flexible[index]) for index in self.layout.shape.flexible]

    def filled(self, value: float) -> dict[str, np.ndarray]:
        """Return tables of one value, one for each name of variables."""
        return {name: np.full((len(where), self.lanes), value) for name, where in self.layout.variable.items()}

    def column(self, places: dict[str, np.ndarray], tables: dict[str, np.ndarray]) -> np.ndarray:
        """Put tables into the places of the pattern's variables or rows."""
        column = np.empty((sum(map(len, places.values())), self.lanes))
        for name, where in places.items():
            column[where] = tables[name]
        return column

    def curves(self) -> dict[str, np.ndarray]:
        """Return the values of H."""
        pull, tables = self.problem.pull, self.filled(SMOOTHING)
        for name in filter(lambda name: name.startswith(_FOLLOWS), tables):
            tables[name][:] = 0.0
        for index, one in self.flexible():
            tables[f"flexible_{index}"] += 2.0 * self.hours * self.curve(one.curvature_eur_per_kw2h)
        named = {f"{name}_curve": table for name, table in tables.items()}
        if pull is not None:
            room, trade = (self.hours * self.curve(weight) for weight in pull.weights())
            for name in ("net", "lower", "upper"):
                named[f"{name}_curve"] += room
            if self.layout.shape.pool:
                named["pool_sell_curve"] += trade
                named["pool_buy_curve"] += trade
                named["pool_cross"] = -trade
        return named

    def costs(self) -> np.ndarray:
        """Return the linear costs (variables, k)."""
        problem, shape, tables = self.problem, self.layout.shape, self.filled(0.0)
        late_sell = self.hours * self.eur(problem.late_sell_eur_per_kwh)
        tables["net"] += late_sell
        tables["own"] -= late_sell
        tables["buy"] += self.hours * self.eur(problem.buy_eur_per_kwh)
        tables["sell"] -= self.hours * self.eur(problem.sell_eur_per_kwh)
        if shape.pool:
            fee = self.hours * problem.pool_fee_eur_per_kwh / self.price
            tables["pool_sell"] += fee
            tables["pool_buy"] += fee
        if shape.battery:
            wear = self.hours * problem.battery.wear_eur_per_kwh / self.price
            tables["charge"] += wear
            tables["discharge"] += wear
            tables["soc"][-1] -= problem.battery.terminal_value_eur_per_kwh / self.price
            tables["short"] += problem.shed_eur_per_kwh / self.price
        self._real_time_costs(tables)
        if problem.pull is not None:
            self._pull_costs(tables, problem.pull)
        return self.column(self.layout.variable, tables)

    def _real_time_costs(self, tables: dict[str, np.ndarray]) -> None:
        """Enter what is alike in all scenarios as it is, the rest as the worst case over the scenarios."""
        layout = self.layout
        alike = np.ones(len(layout.copy_step), dtype=bool)
        alike[layout.apart] = False
        for name, cost in self.copy_costs().items():
            if name in tables:
                where = layout.cut if name == "cut" else slice(None)
                tables[name] += np.where(alike[where, None], cost[where], 0.0)
        if layout.apart.size:
            ambiguity = self.problem.ambiguity
            tables["cost"] += ambiguity.nominal.T
            tables["dual"] += ambiguity.price.T

    def copy_costs(self) -> dict[str, np.ndarray]:
        """Return what each variable of the real-time market costs (S, k), beyond ``late_sell (net - own)``."""
        lost = self.problem.shed_eur_per_kwh / self.price
        return {
            "late": self.copy_hours * (self.late_buy - self.late_sell),
            "cut": self.copy_hours * self.late_sell,
            "shed": self.copy_hours * (lost - self.late_sell),
            "spill": self.copy_hours * (lost + self.late_sell),
        }

    def _pull_costs(self, tables: dict[str, np.ndarray], pull: Pull) -> None:
        """Enter the linear part of the pull's squares; without any weight the targets still choose a point."""
        room, trade = (self.hours * self.curve(weight) for weight in pull.weights())
        for name, target in (("net", pull.room.net_kw), ("lower", pull.room.lower_kw), ("upper", pull.room.upper_kw)):
            tables[name] -= (room + (SMOOTHING if name != "net" else 0.0)) * self.kw(target)
        if self.layout.shape.pool:
            wanted = trade * self.kw(pull.trade_kw)
            tables["pool_sell"] -= wanted
            tables["pool_buy"] += wanted

    def factors(self) -> dict[str, np.ndarray]:
        """Return the values of A."""
        battery, layout = self.problem.battery, self.layout
        ambiguity, one = self.problem.ambiguity, np.ones((1, self.lanes))
        links, picks = (
            np.array(part, dtype=np.int64).reshape(-1, 2).T for part in (layout.shape.links, layout.shape.picks)
        )
        return {
            "plus": one,
            "minus": -one,
            "elapsed": -self.hours * one,
            "stored": -self.hours * battery.charge_efficiency,
            "taken": self.hours / battery.discharge_efficiency,
            **{f"{name}_cost": -cost for name, cost in self.copy_costs().items()},
            "links": ambiguity.rows[:, links[0], links[1]].T,
            "picks": -ambiguity.pick[picks[0], picks[1]][:, None] * one,
        }

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return least and greatest values of the variables (variables, k)."""
        lower, upper = self.filled(0.0), self.filled(np.inf)
        for name in ("own", *(f"sum_{index}" for index in self.layout.shape.flexible)):
            lower[name] = np.full_like(lower[name], -np.inf)
        self._band_bounds(lower, upper)
        self._device_bounds(lower, upper)
        for name, most in (("shed", self.program.shed_kw), ("spill", self.program.spill_kw)):
            if name in upper:
                upper[name] = self.kw(most)[self.layout.copy_step]
        if "cut" in upper:
            upper["cut"] = self.available[self.layout.cut]
        if "cost" in lower:
            lower["cost"][:] = -np.inf
            lower["dual"][self.problem.ambiguity.free] = -np.inf
        return self.column(self.layout.variable, lower), self.column(self.layout.variable, upper)

    def _band_bounds(self, lower: dict[str, np.ndarray], upper: dict[str, np.ndarray]) -> None:
        """Bound net power or, where the band is free, its edges; and what may be traded."""
        problem, least, most = self.problem, *map(self.kw, self.problem.widest)
        lower["net"], upper["net"] = least, most
        for edge in ("lower", "upper"):
            if edge in lower:
                lower[edge], upper[edge] = least, most
        if self.layout.shape.pool:
            bought, sold = self.kw(problem.trade_lower_kw), self.kw(problem.trade_upper_kw)
            lower["pool_sell"], upper["pool_sell"] = np.maximum(bought, 0.0), np.maximum(sold, 0.0)
            lower["pool_buy"], upper["pool_buy"] = np.maximum(-sold, 0.0), np.maximum(-bought, 0.0)

    def _device_bounds(self, lower: dict[str, np.ndarray], upper: dict[str, np.ndarray]) -> None:
        """Bound the devices and their stores."""
        battery = self.problem.battery
        if self.layout.shape.battery:
            upper["charge"], upper["discharge"] = self.kw(self.program.charge_kw), self.kw(self.program.discharge_kw)
            lower["soc"][:] = np.minimum(battery.soc_min_kwh, battery.soc_kwh) / self.power
            upper["soc"][:] = np.maximum(battery.soc_max_kwh, battery.soc_kwh) / self.power
        for index, one in self.flexible():
            lower[f"flexible_{index}"], upper[f"flexible_{index}"] = self.kw(one.lower_kw), self.kw(one.upper_kw)
            lower[f"sum_{index}"], upper[f"sum_{index}"] = self.kw(one.least_kwh), self.kw(one.most_kwh)

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Return least and greatest values of the rows (rows, k)."""
        problem, battery = self.problem, self.problem.battery
        lower = {name: np.zeros((len(where), self.lanes)) for name, where in self.layout.row.items()}
        if not self.layout.shape.pool:
            lower["contract"] = self.kw(problem.trade_lower_kw)
        lower["own"] = self.kw(problem.fixed_kw)
        if "soc" in lower:
            lower["soc"][0] = battery.soc_kwh / self.power
            lower["end"][:] = problem.soc_end_min_kwh / self.power
        if "cost" in lower:
            lower["cost"] = self._scenario_offsets()
        upper = {name: side.copy() for name, side in lower.items()}
        for name in ("net_lower", "net_upper", "end", "dual"):
            if name in upper:
                upper[name][:] = np.inf
        self._real_time_rows(lower, upper)
        return self.column(self.layout.row, lower), self.column(self.layout.row, upper)

    def _scenario_offsets(self) -> np.ndarray:
        """Return what each scenario's generation earns in real time (K, k), entered as a cost."""
        layout, apart = self.layout, self.layout.apart
        earned = np.zeros((layout.shape.scenarios, self.lanes))
        income = self.copy_hours * self.late_sell * self.available
        np.subtract.at(earned, layout.copy_scenario[apart], income[apart])
        return earned

    def _real_time_rows(self, lower: dict[str, np.ndarray], upper: dict[str, np.ndarray]) -> None:
        """Enter the sides of the real-time market: generation stands on the right of its rows."""
        lower["late"], upper["late"] = -self.available, np.full_like(self.available, np.inf)
        if not self.layout.shape.pulled:
            least, most = (self.kw(edge)[self.layout.copy_step] for edge in self.problem.widest)
            lower["band"], upper["band"] = least - self.available, most - self.available
            return
        lower["band_lower"], upper["band_lower"] = -self.available, np.full_like(self.available, np.inf)
        lower["band_upper"], upper["band_upper"] = self.available, np.full_like(self.available, np.inf)
