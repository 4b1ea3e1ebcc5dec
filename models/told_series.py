"""A series of which somebody else says, interval by interval, what really happened."""

from dataclasses import dataclass, field

import numpy as np

from cosim.models.series import SeriesSum

KEPT_INTERVALS = 10_000


@dataclass(frozen=True)
class ToldSeries(SeriesSum):
    """A profile series (n rows) that what is told replaces, row by row; the rest stays as the profile has it.

    What is told of an interval counts from then on as its past, so that forecasts rest on it as well.
    """

    told: dict[int, np.ndarray] = field(default_factory=dict)

    def tell(self, index: int, values: np.ndarray) -> None:
        """Replace interval `index` by values (n,); NaN leaves a row to the profile."""
        self.told[index] = values
        self.told.pop(index - KEPT_INTERVALS, None)

    def window(self, first: int, count: int) -> np.ndarray:
        """Return `count` intervals from interval `first` of the run on (n, count)."""
        total = super().window(first, count)
        known = [index for index in range(first, first + count) if index in self.told]
        if not known:
            return total
        total = total.copy()
        for index in known:
            column = total[:, index - first]
            column[:] = np.where(np.isnan(self.told[index]), column, self.told[index])
        return total
