"""What nature brings and what forecasters expect of it: only this file holds the true series of a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cosim.encoding import kept
from cosim.guard import Guard, words
from cosim.locking import locked
from cosim.models.devices.columns import Exogenous
from cosim.models.devices.corridors import ExogenousWindow
from cosim.models.devices.demand import Demand
from cosim.models.devices.sessions import EvSessions
from cosim.models.errors import BadInputError
from cosim.models.forecast.forecaster import Draws, Forecaster, ForecastView
from cosim.models.forecast.noisy import fit_noise
from cosim.models.forecast.perfect import Perfect
from cosim.models.forecast.persistence import Persistence
from cosim.models.series import SeriesSum
from cosim.models.step import PassiveLoad
from cosim.models.time import Horizon, Interval
from cosim.models.uncertainty.scenarios import SHARES, Scenarios, reduced
from cosim.randomness import Chance
from cosim.setting import Outlook, PassiveDoubt

HISTORY_DAYS = 7
NOISE_DAYS = 28
MEMBERS = 50
ROWS_AT_ONCE = 500
_FALLBACK = Persistence()
_PARTS = {
    "generation": ("generation",),
    "demand": ("demand",),
    "heat_pump": ("heat_pump",),
    "net": ("generation", "demand"),
}


@dataclass(frozen=True)
class PassiveSeries:
    """Customers without a market: their series, kvar per kW, and bus positions (customers,) among `buses`."""

    ids: tuple[str, ...]
    demand: SeriesSum
    reactive_per_kw: np.ndarray
    bus: np.ndarray
    buses: int

    def at(self, p_kw: np.ndarray) -> PassiveLoad:
        """Place powers (customers,) at their buses."""
        return PassiveLoad(
            np.bincount(self.bus, weights=p_kw, minlength=self.buses),
            np.bincount(self.bus, weights=p_kw * self.reactive_per_kw, minlength=self.buses),
        )


@dataclass(frozen=True, slots=True)
class _Noise:
    """How uncertain the rows of a quantity are, and their draws."""

    spread: np.ndarray
    rho: np.ndarray
    normals: Callable[[int, int], np.ndarray]


@dataclass
class Almanac:
    """Answers as nature: `actual` for what happened, `outlook` for what is expected, `scenarios` for what may come.

    Reactive demand is not forecast by itself: it follows forecast demand at the profile's power factor.
    """

    ids: tuple[str, ...]
    demand: SeriesSum
    reactive_per_kw: np.ndarray
    generation: SeriesSum
    heat_pump: SeriesSum
    passive: PassiveSeries
    sessions: EvSessions
    shiftable: Demand
    forecaster: Forecaster
    chance: Chance
    guard: Guard
    intervals_per_day: int
    _noise: dict[str, _Noise] = field(default_factory=dict, init=False, repr=False)
    _draws: dict[tuple[str, int], Draws] = field(default_factory=dict, init=False, repr=False)
    _asked_at: int = field(default=0, init=False, repr=False)

    def actual(self, interval: Interval) -> tuple[Exogenous, PassiveLoad]:
        """Return what an interval really brought."""
        index, back = interval.index, self._back
        demand = self.demand.window(index - back, back + 1)
        arriving, hours_left = self.sessions.exogenous(index)
        exogenous = self._exogenous(
            demand,
            self.generation.window(index, 1)[:, 0],
            self.heat_pump.window(index, 1)[:, 0],
            arriving,
            hours_left,
            interval,
        )
        return exogenous, self.passive.at(self.passive.demand.window(index, 1)[:, 0])

    def _exogenous(
        self,
        demand_kw: np.ndarray,
        available_kw: np.ndarray,
        heat_pump_kw: np.ndarray,
        arriving_kwh: np.ndarray,
        hours_left: np.ndarray,
        interval: Interval,
    ) -> Exogenous:
        """Compose an interval from demand over the permitted delay (n, delay), itself the last column."""
        now_kw = demand_kw[:, -1]
        return Exogenous(
            demand_kw=now_kw,
            demand_kvar=now_kw * self.reactive_per_kw,
            available_kw=available_kw,
            backlog_max_kwh=self.shiftable.backlog_bound_kwh(demand_kw, interval.hours)[:, -1],
            heat_pump_kw=heat_pump_kw,
            ev_arrival_kwh=arriving_kwh,
            ev_hours_left=hours_left,
        )

    def outlook(self, now: int, horizon: Horizon) -> Outlook:
        """Return what forecasts issued at interval `now` expect of a horizon; data before `now` are known."""
        # Who knows the future exactly knows the cars that will come, too.
        return self._outlook(now, horizon, self.sessions, None if self._foresees else now)

    def day_outlook(self, now: int, horizon: Horizon) -> Outlook:
        """Return an outlook on a horizon that begins after intervals that are not decided yet.

        Cars that have not come are expected as they came on the last day that is known, in the window and on
        the bridge to it; `outlook` knows nothing of them, which is right for plans that are made anew at every
        interval and wrong for a commitment to tomorrow.
        """
        sessions = self.sessions if self._foresees else self.sessions.expected(now)
        return self._outlook(now, horizon, sessions, None)

    @property
    def _foresees(self) -> bool:
        return isinstance(self.forecaster, Perfect)

    def _outlook(self, now: int, horizon: Horizon, sessions: EvSessions, known_at: int | None) -> Outlook:
        self._check_known(now)
        first, count = horizon.first.index, horizon.base_intervals
        ahead = first - now
        total = ahead + count
        demand = self._forecast("demand", self.demand, now, total, self.ids)
        available = self._forecast("generation", self.generation, now, total, self.ids)
        heat_pump = self._forecast("heat_pump", self.heat_pump, now, total, self.ids)
        passive = self._forecast("passive", self.passive.demand, now, ahead + 1, self.passive.ids)[:, -1]
        back = self._back
        known = np.concatenate([self.demand.window(now - back, back), demand], axis=1)
        intervals = [horizon.first.shifted(step - ahead) for step in range(ahead + 1)]
        expected = tuple(
            self._exogenous(
                known[:, step : step + back + 1],
                available[:, step],
                heat_pump[:, step],
                *sessions.exogenous(interval.index, known_at),
                interval,
            )
            for step, interval in enumerate(intervals)
        )
        return Outlook(
            bridge=expected[:-1],
            first=expected[-1],
            passive=self.passive.at(passive),
            window=ExogenousWindow(
                demand_kw=demand[:, ahead:],
                backlog_max_kwh=self.shiftable.backlog_bound_kwh(known[:, ahead:], horizon.first.hours)[:, back:],
                heat_pump_kw=heat_pump[:, ahead:],
                ev=sessions.window(first, count, known_at),
            ),
            available_kw=available[:, ahead:],
        )

    def passive_ahead(self, now: int, horizon: Horizon) -> PassiveLoad:
        """Return what forecasts issued at `now` expect of passive customers in each step of a horizon (H, buses)."""
        self._check_known(now)
        ahead = horizon.first.index - now
        expected = self._forecast("passive", self.passive.demand, now, ahead + horizon.base_intervals, self.passive.ids)
        steps = [self.passive.at(step) for step in horizon.average(expected[:, ahead:]).T]
        return PassiveLoad(np.stack([step.p_kw for step in steps]), np.stack([step.q_kvar for step in steps]))

    def scenarios(
        self,
        now: int,
        horizon: Horizon,
        quantity: str = "generation",
        *,
        members: int = MEMBERS,
        shares: Sequence[float] = SHARES,
    ) -> Scenarios:
        """Return what may come of a quantity over the steps of a horizon, as forecasters see it at `now`.

        `quantity` is "generation", "demand", "heat_pump", or "net" (generation and demand, member by member).
        An ensemble of `members` draws is asked for and reduced to scenarios of the probabilities `shares`. A
        member's chance belongs to the prosumer, the member and the base interval: neither who else takes part
        nor who asks when changes it.
        """
        if quantity not in _PARTS:
            raise ValueError(f"scenarios are of generation, demand, heat_pump or net, not of {quantity}")
        self._check_known(now)
        drawn = [self._ensemble(part, now, horizon, members) for part in _PARTS[quantity]]
        return reduced(horizon.average(sum(drawn[1:], start=drawn[0])), horizon.hours, shares)

    def memory(self) -> dict[str, Any]:
        """Return what the forecaster has learnt; one whose memory cannot be saved is retired, and persistence acts."""
        remembered = None
        if self.forecaster is not _FALLBACK:
            try:
                remembered = kept(self.forecaster.memory())
                # A run goes on with its memory as a resumed one will have it.
                self.forecaster.restore(remembered)
            except Exception as error:  # noqa: BLE001, whatever a plug-in raises must not end the run
                sentence = f"keeps what cannot be saved: {words(error)}; persistence acts from now on"
                self.guard.note(self._asked_at, "forecaster", "plugin_retired", sentence)
                self.forecaster, remembered = _FALLBACK, None
        return {"retired": self.forecaster is _FALLBACK, "remembered": remembered}

    def restore(self, memory: dict[str, Any]) -> None:
        """Take up what `memory` returned."""
        if memory["retired"]:
            self.forecaster = _FALLBACK
        else:
            self.forecaster.restore(memory["remembered"])

    def _check_known(self, now: int) -> None:
        """Refuse a start so early in the profiles that no forecast could be made."""
        self._asked_at = now
        if self.demand.known_before(now) < self.intervals_per_day:
            file = self.demand.parts[0].profiles.source
            allowed = f"forecasts need a day that is known: allowed is a day or more after {file} begins"
            raise BadInputError.one("scenario", "time.start", None, allowed)

    @property
    def _back(self) -> int:
        """How many intervals before one still count for what may wait in it."""
        return max(self.shiftable.delay_intervals - 1, 0)

    def _forecast(self, quantity: str, series: SeriesSum, now: int, count: int, ids: tuple[str, ...]) -> np.ndarray:
        if not ids:
            return np.zeros((0, count))
        view = self._view(quantity, series, now, now, count, ids)
        shown = locked(view)
        forecast = self.guard.call(
            lambda: self.forecaster.forecast(shown),
            faults=lambda result: _faults("forecast", result, (len(ids), count)),
            fallback=lambda: _FALLBACK.forecast(view),
            agent=f"forecaster of {quantity}",
            interval=now,
            seat="forecaster",
        )
        return view.clip(forecast)

    def passive_doubt(self, now: int, horizon: Horizon, *, members: int = MEMBERS) -> PassiveDoubt:
        """Return how far passive load may be from what `passive_ahead` expects, in each step of a horizon.

        Customers of one bus are taken together, by an ensemble of their load.
        """
        self._check_known(now)
        drawn = horizon.average(self._ensemble("passive", now, horizon, members))
        at_bus = np.zeros((self.passive.buses, members, horizon.steps))
        np.add.at(at_bus, self.passive.bus, np.moveaxis(drawn, 1, 0))
        expected = self.passive_ahead(now, horizon)
        apart = at_bus - at_bus.mean(axis=1, keepdims=True)
        drawn_kw = np.where(expected.p_kw != 0.0, expected.p_kw, 1.0)
        ratio = np.where(expected.p_kw != 0.0, expected.q_kvar, 0.0) / drawn_kw
        return PassiveDoubt(apart.std(axis=1).T, np.abs(apart).max(axis=1).T, ratio.mean(axis=0))

    def _ensemble(self, quantity: str, now: int, horizon: Horizon, members: int) -> np.ndarray:
        """Return an ensemble (members, n, W) over the base intervals of a horizon."""
        series = {
            "generation": self.generation,
            "demand": self.demand,
            "heat_pump": self.heat_pump,
            "passive": self.passive.demand,
        }[quantity]
        ids = self.passive.ids if quantity == "passive" else self.ids
        if not ids:
            return np.zeros((members, 0, horizon.base_intervals))
        view = self._view(quantity, series, now, horizon.first.index, horizon.base_intervals, ids)
        draws, shown = self._draws_of(quantity, members, ids), locked(view)
        ensemble = self.guard.call(
            lambda: self.forecaster.ensemble(shown, members, draws),
            faults=lambda result: _faults("ensemble", result, (members, len(ids), view.count)),
            fallback=lambda: _FALLBACK.ensemble(view, members, draws),
            agent=f"forecaster of {quantity}",
            interval=now,
            seat="forecaster",
        )
        return view.clip(ensemble)

    def _view(
        self, quantity: str, series: SeriesSum, now: int, first: int, count: int, ids: tuple[str, ...]
    ) -> ForecastView:
        noise = self._noise_of(quantity, series, ids)
        reach = min(HISTORY_DAYS * self.intervals_per_day, series.known_before(now))
        return ForecastView(
            quantity="demand" if quantity == "passive" else quantity,
            issued_at=now,
            first=first,
            count=count,
            known=reach,
            past=lambda intervals: locked(series.window(now - intervals, intervals)),
            truth=series.window(first, count) if self.forecaster.clairvoyant else None,
            spread=noise.spread,
            rho=noise.rho,
            normals=noise.normals,
        )

    def _draws_of(self, quantity: str, members: int, ids: tuple[str, ...]) -> Draws:
        """Return the chance of an ensemble: every customer's members are streams of their own."""
        if (quantity, members) not in self._draws:
            names = [f"{name} member {member}" for member in range(members) for name in ids]
            normals = self.chance.innovations(names, f"ensemble-{quantity}", self.intervals_per_day)
            shape = (members, len(ids))
            self._draws[quantity, members] = lambda first, count: normals(first, count).reshape(*shape, count)
        return self._draws[quantity, members]

    def _fitted(self, series: SeriesSum) -> tuple[np.ndarray, np.ndarray]:
        """Fit the noise of rows, so many at a time that weeks of them stay small in memory."""
        rows = range(0, len(series), ROWS_AT_ONCE)
        per_day = self.intervals_per_day
        parts = [
            fit_noise(series.rows(first, ROWS_AT_ONCE).days_around(per_day, NOISE_DAYS), per_day) for first in rows
        ]
        return np.concatenate([spread for spread, _ in parts]), np.concatenate([rho for _, rho in parts])

    def _noise_of(self, quantity: str, series: SeriesSum, ids: tuple[str, ...]) -> _Noise:
        if quantity not in self._noise:
            spread, rho = self._fitted(series)
            normals = self.chance.innovations(ids, f"forecast-{quantity}", self.intervals_per_day)
            self._noise[quantity] = _Noise(spread, rho, normals)
        return self._noise[quantity]


def _faults(what: str, result: object, shape: tuple[int, ...]) -> list[str]:
    if not isinstance(result, np.ndarray) or result.shape != shape or result.dtype.kind != "f":
        found = getattr(result, "shape", type(result).__name__)
        return [f"{what} returned {found}; an array of floats {shape} is needed"]
    return [] if np.isfinite(result).all() else [f"{what} returned NaN or infinity"]
