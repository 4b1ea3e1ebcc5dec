"""The question and the answer of planning under uncertainty: what to do now, knowing that only some is known.

Each prosumer chooses, before its generation is known, what it trades in the pool (q), what it buys from and
sells to the supplier (gb, gs), how its devices run, and the band [l, u] it wants at its connection point.
What generation then brings is settled in real time (rb, rs) inside the same band, in every scenario s:

    generation - curtailed + battery + flexible + fixed + shed = P_st = p_t + rs_st - rb_st,    l_t <= P_st <= u_t
    p_t = q_t + gs_t - gb_t,    l_t <= p_t <= u_t

and it minimises

    sum_t hours_t [ buy gb - sell gs + fee |q| + wear (charge + discharge) + curvature flexible^2 ]
        - terminal value of the energy left stored + max over probabilities of sum_s probability_s Q_s
    Q_s = sum_t hours_t [ late_buy rb_st - late_sell rs_st + shed price (what is lost) ]

where the probabilities run through an ambiguity set (Delage and Ye 2010, doi 10.1287/opre.1090.0741, for the
idea; `DualForm` for the sets). Devices are run before generation is known on purpose: a plan that waits for
a whole scenario would know the afternoon's sun in the morning.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from cosim.models.envelope import Room
from cosim.models.optimisation.schedule import PlannedBattery, take_columns
from cosim.models.uncertainty.ambiguity import DualForm


@dataclass(frozen=True, slots=True)
class FlexiblePower:
    """Power that can be moved between steps, columns (n, H), positive into the grid.

    Attributes:
        lower_kw: least power.
        upper_kw: greatest power.
        least_kwh: least sum of power times length up to the end of each step, -inf where there is none.
        most_kwh: greatest such sum, inf where there is none.
        curvature_eur_per_kw2h: discomfort: cost ``curvature power^2 hours`` of each step, >= 0.
    """

    lower_kw: np.ndarray
    upper_kw: np.ndarray
    least_kwh: np.ndarray
    most_kwh: np.ndarray
    curvature_eur_per_kw2h: np.ndarray


@dataclass(frozen=True, slots=True)
class Pull:
    """What a negotiation asks of n prosumers: each value costs ``hours weight / 2 (value - target)^2`` EUR.

    Attributes:
        room: targets of the band and of the net power inside it, (n, H) each.
        trade_kw: targets of the pool quantity (n, H).
        room_weight_eur_per_kw2h: weight >= 0 of the room, broadcast to (n, H).
        trade_weight_eur_per_kw2h: weight >= 0 of the trade, broadcast to (n, H).
    """

    room: Room
    trade_kw: np.ndarray
    room_weight_eur_per_kw2h: np.ndarray | float
    trade_weight_eur_per_kw2h: np.ndarray | float

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights of room and trade, (n, H) each."""
        shape = self.trade_kw.shape
        return (
            np.broadcast_to(self.room_weight_eur_per_kw2h, shape),
            np.broadcast_to(self.trade_weight_eur_per_kw2h, shape),
        )

    def take(self, rows: np.ndarray) -> "Pull":
        """Return the pull on some prosumers only."""
        room_weight, trade_weight = self.weights()
        return Pull(Room.of(self.room.stacked()[:, rows]), self.trade_kw[rows], room_weight[rows], trade_weight[rows])


@dataclass(frozen=True, slots=True)
class TwoStageProblem:
    """What n prosumers know when they plan H steps against K scenarios; columns (n, H) unless said.

    Powers are positive into the grid, prices in EUR/kWh. In every step they must be ordered
    ``late_sell < sell <= buy < late_buy``: otherwise the difference could be earned without end.

    Attributes:
        hours: length of each step, shape (H,).
        buy_eur_per_kwh: price of energy ordered from the supplier beforehand.
        sell_eur_per_kwh: price of energy sold to the supplier beforehand.
        late_buy_eur_per_kwh: price of energy bought in real time.
        late_sell_eur_per_kwh: price of energy sold in real time.
        pool_fee_eur_per_kwh: what each side pays per kWh traded in the pool, >= 0.
        trade_lower_kw: least pool quantity, purchases negative.
        trade_upper_kw: greatest pool quantity; both 0 where there is no pool, equal where it is settled.
        fixed_kw: demand that cannot be moved, <= 0.
        available_kw: generation available, >= 0, shape (n, K, H).
        curtailable: whether generation may be reduced at no cost, shape (n,).
        connection_kw: rating of the connection, both ways, shape (n,).
        battery: battery columns, each (n,).
        soc_end_min_kwh: least energy stored at the end; what the band or the power leaves short of it costs
            the shed price, shape (n,).
        flexible: powers that can be moved.
        lower_kw: least lower edge of the band, -inf where only the connection limits it.
        upper_kw: greatest upper edge of the band, likewise inf.
        ambiguity: what the probabilities of the scenarios may be.
        shed_eur_per_kwh: price of demand dropped, and of generation dumped where it may not be reduced.
        pull: what a negotiation asks for, or None: then the band is as wide as its limits.
    """

    hours: np.ndarray
    buy_eur_per_kwh: np.ndarray
    sell_eur_per_kwh: np.ndarray
    late_buy_eur_per_kwh: np.ndarray
    late_sell_eur_per_kwh: np.ndarray
    pool_fee_eur_per_kwh: float
    trade_lower_kw: np.ndarray
    trade_upper_kw: np.ndarray
    fixed_kw: np.ndarray
    available_kw: np.ndarray
    curtailable: np.ndarray
    connection_kw: np.ndarray
    battery: PlannedBattery
    soc_end_min_kwh: np.ndarray
    flexible: tuple[FlexiblePower, ...]
    lower_kw: np.ndarray
    upper_kw: np.ndarray
    ambiguity: DualForm
    shed_eur_per_kwh: float = 2.0
    pull: Pull | None = None

    @property
    def prosumers(self) -> int:
        """Number of prosumers n."""
        return int(self.fixed_kw.shape[0])

    @property
    def scenarios(self) -> int:
        """Number of scenarios K."""
        return int(self.available_kw.shape[1])

    @property
    def steps(self) -> int:
        """Number of steps H."""
        return int(self.fixed_kw.shape[1])

    @property
    def widest(self) -> tuple[np.ndarray, np.ndarray]:
        """The limits of the band, (n, H) each, those of the connection included."""
        rating = self.connection_kw[:, None]
        return np.maximum(self.lower_kw, -rating), np.minimum(self.upper_kw, rating)

    def take(self, rows: np.ndarray) -> "TwoStageProblem":
        """Return the problem of some prosumers only."""
        columns = {name: getattr(self, name)[rows] for name in (*_COLUMNS, *_TRAITS, "available_kw")}
        return replace(
            self,
            **columns,
            battery=PlannedBattery(**take_columns(self.battery, rows)),
            flexible=tuple(FlexiblePower(**take_columns(one, rows)) for one in self.flexible),
            ambiguity=replace(
                self.ambiguity,
                nominal=self.ambiguity.nominal[rows],
                price=self.ambiguity.price[rows],
                rows=self.ambiguity.rows[rows],
            ),
            pull=None if self.pull is None else self.pull.take(rows),
        )

    def check(self) -> None:
        """Raise ValueError for a wrong shape, a number that is not finite, or limits and prices in the wrong order."""
        if self.hours.shape != (self.steps,) or not np.all(self.hours > 0.0):
            raise ValueError(f"hours has shape {self.hours.shape} and must hold {self.steps} positive lengths")
        for name, column, shape in self._shapes():
            if column.shape != shape:
                raise ValueError(f"{name} has shape {column.shape}, expected {shape}")
            open_ended = name in _EDGES or name.endswith(("least_kwh", "most_kwh"))
            if np.isnan(column).any() if open_ended else not np.isfinite(column).all():
                raise ValueError(f"{name} holds numbers that are not finite")
        for name, lower, upper in self._ordered():
            if not np.all(lower <= upper):
                row = int(np.argwhere(~(lower <= upper))[0][0])
                raise ValueError(f"{name} are crossed for prosumer {row}")
        self._check_prices()

    def _shapes(self) -> Iterator[tuple[str, np.ndarray, tuple[int, ...]]]:
        """Name, value and expected shape of every array with a prosumer axis."""
        n, k, steps = self.prosumers, self.scenarios, self.steps
        for name in _COLUMNS:
            yield name, getattr(self, name), (n, steps)
        for name in _TRAITS:
            yield name, getattr(self, name), (n,)
        yield "available_kw", self.available_kw, (n, k, steps)
        yield from self._ambiguity_shapes()
        for part in fields(self.battery):
            yield f"battery.{part.name}", getattr(self.battery, part.name), (n,)
        for index, one in enumerate(self.flexible):
            for part in fields(one):
                yield f"flexible[{index}].{part.name}", getattr(one, part.name), (n, steps)
        if self.pull is not None:
            yield "pull.room", self.pull.room.stacked(), (3, n, steps)
            yield "pull.trade_kw", self.pull.trade_kw, (n, steps)

    def _ambiguity_shapes(self) -> Iterator[tuple[str, np.ndarray, tuple[int, ...]]]:
        """List the same of the dual form: v variables and r rows, whatever they are."""
        form, n, k = self.ambiguity, self.prosumers, self.scenarios
        rows, duals = len(form.pick), len(form.free)
        yield "ambiguity.nominal", form.nominal, (n, k)
        yield "ambiguity.price", form.price, (n, duals)
        yield "ambiguity.rows", form.rows, (n, rows, duals)
        yield "ambiguity.pick", form.pick, (rows, k)

    def _ordered(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Pairs of columns of which the first may nowhere exceed the second."""
        zero, (lower, upper) = np.zeros(1), self.widest
        yield "the limits of the band", lower, upper
        yield "trade_lower_kw and trade_upper_kw", self.trade_lower_kw, self.trade_upper_kw
        yield "fixed_kw and zero", self.fixed_kw, zero
        yield "zero and available_kw", zero, self.available_kw
        for index, one in enumerate(self.flexible):
            yield f"the limits of flexible[{index}]", one.lower_kw, one.upper_kw
            yield f"the sums of flexible[{index}]", one.least_kwh, one.most_kwh
            yield f"zero and the curvature of flexible[{index}]", zero, one.curvature_eur_per_kw2h
        if self.pull is not None:
            for weight in self.pull.weights():
                yield "zero and the weights of the pull", zero, weight

    def _check_prices(self) -> None:
        """Raise ValueError where a prosumer could earn without end."""
        if not (self.pool_fee_eur_per_kwh >= 0.0 and self.shed_eur_per_kwh > 0.0):
            raise ValueError("the pool fee must be >= 0 and the shed price > 0 EUR/kWh")
        ordered = (
            (self.late_sell_eur_per_kwh < self.sell_eur_per_kwh)
            & (self.sell_eur_per_kwh <= self.buy_eur_per_kwh)
            & (self.buy_eur_per_kwh < self.late_buy_eur_per_kwh)
        )
        if not ordered.all():
            row, step = np.argwhere(~ordered)[0]
            raise ValueError(f"prosumer {row}, step {step}: prices must be ordered late_sell < sell <= buy < late_buy")


@dataclass(frozen=True, slots=True)
class TwoStageResponse:
    """The plans of n prosumers, columns (n, H) unless said, power positive into the grid.

    Attributes:
        room: the band wanted, and the net power p meant inside it.
        trade_kw: pool quantity, sales positive.
        battery_kw: discharge positive, charge negative.
        flexible_kw: the flexible powers, one (n, H) each.
        soc_kwh: energy in the battery at the end of each step.
        scenario_net_kw: power at the connection in each scenario, (n, K, H).
        curtailed_kw: generation not used, (n, K, H).
        shed_kw: demand dropped, (n, K, H).
        scenario_cost_eur: cost Q of each scenario in real time, (n, K).
        cost_eur: cost of the plan at worst, (n,), without pulls; what the last state of charge is short of
            its least value is in it.
        worst_probability: the probabilities at which it is reached, (n, K).
        solved: whether the plan is optimal, shape (n,); where it is not, the columns hold NaN.
        reason: one sentence per prosumer, "" where solved.
    """

    room: Room
    trade_kw: np.ndarray
    battery_kw: np.ndarray
    flexible_kw: tuple[np.ndarray, ...]
    soc_kwh: np.ndarray
    scenario_net_kw: np.ndarray
    curtailed_kw: np.ndarray
    shed_kw: np.ndarray
    scenario_cost_eur: np.ndarray
    cost_eur: np.ndarray
    worst_probability: np.ndarray
    solved: np.ndarray
    reason: tuple[str, ...]


_COLUMNS = (
    "buy_eur_per_kwh",
    "sell_eur_per_kwh",
    "late_buy_eur_per_kwh",
    "late_sell_eur_per_kwh",
    "trade_lower_kw",
    "trade_upper_kw",
    "fixed_kw",
    "lower_kw",
    "upper_kw",
)
_TRAITS = ("curtailable", "connection_kw", "soc_end_min_kwh")
_EDGES = ("lower_kw", "upper_kw")
