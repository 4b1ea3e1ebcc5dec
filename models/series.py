"""Several profile series of the same rows, added up: what one connection point has of everything."""

from dataclasses import dataclass

import numpy as np

from cosim.models.profiles import Series


@dataclass(frozen=True)
class SeriesSum:
    """The sum of series with the same n rows on the same clock."""

    parts: tuple[Series, ...]

    def __len__(self) -> int:
        return len(self.parts[0])

    def window(self, first: int, count: int) -> np.ndarray:
        """Return `count` intervals from interval `first` of the run on (n, count)."""
        total = self.parts[0].window(first, count)
        for part in self.parts[1:]:
            total += part.window(first, count)
        return total

    def rows(self, first: int, count: int) -> "SeriesSum":
        """Return the sum of `count` rows from row `first` on, or as many as there are."""
        return SeriesSum(tuple(part.rows(first, count) for part in self.parts))

    def known_before(self, index: int) -> int:
        """Return how many intervals before this one the table holds."""
        return self.parts[0].profiles.first + index

    def days_around(self, per_day: int, days: int) -> np.ndarray:
        """Return up to `days` whole days around the start of the run (n, days x per_day), from a time of day 0 on."""
        table = self.parts[0].profiles
        before = min(days // 2, table.first // per_day)
        after = min(days - before, (table.values.shape[1] - table.first) // per_day)
        return self.window(-before * per_day, (before + after) * per_day)
