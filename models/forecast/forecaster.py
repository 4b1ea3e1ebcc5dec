"""The contract of a forecaster: it sees a value and returns a value, or many that may come instead."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np


@dataclass(frozen=True, slots=True)
class ForecastView:
    """All that a forecaster may see when it is asked.

    `quantity` is "demand" (<= 0 kW), "generation" (>= 0 kW), "heat_pump" (<= 0 kW) or "price" (EUR/kWh).
    Base intervals before `issued_at` are known; asked for are `count` from `first` >= `issued_at` on.
    `past(count)` returns the latest of them (n, count), of which there are `known`; `history` (n, known), read only,
    is all of them. `truth` (n, count) is given to clairvoyant forecasters, None to others. `spread` (n, intervals a
    day) is the standard deviation by time of day (column = interval mod intervals a day) and `rho` (n,) the lag-1
    correlation, both from `fit_noise`.
    `normals(first, count)` returns standard normals (n, count) that belong to base intervals: the same
    interval always has the same number, whoever asks and when.
    """

    quantity: str
    issued_at: int
    first: int
    count: int
    known: int
    past: Callable[[int], np.ndarray]
    truth: np.ndarray | None
    spread: np.ndarray
    rho: np.ndarray
    normals: Callable[[int, int], np.ndarray]

    @property
    def history(self) -> np.ndarray:
        """All that is known (n, known), read only: it ends at `issued_at` - 1."""
        return self.past(self.known)

    @property
    def intervals_per_day(self) -> int:
        """Number of base intervals in a day of the run's clock."""
        return int(self.spread.shape[1])

    def clip(self, values: np.ndarray) -> np.ndarray:
        """Return values on the possible side of zero: loads <= 0, generation >= 0, prices anywhere."""
        lower = 0.0 if self.quantity == "generation" else -np.inf
        upper = 0.0 if self.quantity in {"demand", "heat_pump"} else np.inf
        clipped: np.ndarray = np.clip(values, lower, upper)
        return clipped

    def past_days(self, most: int | None = None) -> np.ndarray:
        """Return what was known at the same times of day: (days, n, count), the latest known day first.

        Days are counted back from `issued_at`; there are as many as the history holds, `most` at most.
        """
        day = self.intervals_per_day
        days = min(self.known // day, most or self.known)
        if not days:
            raise ValueError(f"past days need {day} known intervals, were shown {self.known}")
        lead = np.arange(self.first, self.first + self.count) - self.issued_at
        # Column -day of what is known is the same time of day as the interval that is issued first.
        back = np.arange(1, days + 1)[:, None] * day
        return self.past(days * day)[:, days * day - back + lead % day].transpose(1, 0, 2)


Draws = Callable[[int, int], np.ndarray]
"""`(first, count) -> (members, n, count)`: standard normals that belong to members, prosumers and base intervals.

They are none of those in a view, and the same interval always has the same ones: ensembles that are issued
one after the other differ by what became known in between.
"""


class Forecaster(ABC):
    """Forecast one quantity of n prosumers; the same view and the same memory give the same forecast.

    A forecaster that learns from one view to the next overrides `memory` and `restore`.
    """

    name: ClassVar[str]
    clairvoyant: ClassVar[bool] = False
    """Whether the forecaster is shown the truth; only studies of the value of information should be."""

    @abstractmethod
    def forecast(self, view: ForecastView) -> np.ndarray:
        """Return the forecast (n, count) for the intervals `view.first` to `view.first + view.count - 1`."""

    def memory(self) -> dict[str, Any]:
        """Return all that it has learnt: a dict of numbers, strings, lists, dicts and arrays, saved with the run.

        By default nothing: a forecaster that keeps something else of its own is another one after a resume.
        """
        return {}

    def restore(self, memory: dict[str, Any]) -> None:  # noqa: B027, who has no memory takes none up
        """Take up what `memory` returned, after a resume and after every tick."""

    def ensemble(self, view: ForecastView, members: int, draws: Draws) -> np.ndarray:  # noqa: ARG002, draws know it
        """Return what may come instead (members, n, count), each member as likely as the others.

        By default the forecast, dressed with the errors that persistence made on the days that are known:
        sums of them with normal weights, so that members vary around the forecast as those errors did around
        zero, together in time too. Of an interval j days ahead the errors are those of j days ahead; with a
        single known day there are none, and members are the forecast itself. The same draws serve all day.

        Dressing is from Roulston and Smith 2003, "Combining dynamical and statistical ensembles", Tellus 55A,
        doi 10.3402/tellusa.v55i1.12082; sums that keep the second moment are in the spirit of Wang and Bishop
        2005, "Improvement of ensemble reliability with a new dressing kernel", doi 10.1256/qj.04.120.
        """
        errors = persistence_errors(view)
        weights = draws(view.issued_at - view.issued_at % view.intervals_per_day, len(errors))
        spread = np.einsum("mnd,dnt->mnt", weights, errors) / np.sqrt(len(errors))
        return view.clip(self.forecast(view) + spread)


def persistence_errors(view: ForecastView) -> np.ndarray:
    """Return what persistence would have erred by on known days (days, n, count), as far ahead as the view looks.

    For an interval within a day of issue that is the value d days ago minus the one of the day before; for a
    day later, minus the one two days before. With fewer days known than that, the oldest is compared with.
    """
    known = view.past_days()
    lead = np.arange(view.first, view.first + view.count) - view.issued_at
    lag = np.minimum(lead // view.intervals_per_day + 1, len(known) - 1)
    latest = np.arange(len(known) - lag.max())
    column = np.arange(view.count)
    older = known[latest[:, None] + lag, :, column].transpose(0, 2, 1)
    errors: np.ndarray = known[: len(latest)] - older
    return errors
