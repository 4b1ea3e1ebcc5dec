"""What each varied key does: the change of every key figure from the key's first value to each other one."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cosim.experiments.sweeps.intervals import Mean
from cosim.experiments.sweeps.statistics import UNITS, Statistics


@dataclass(frozen=True, slots=True)
class Effect:
    """A paired difference of one figure: `spread` is its standard deviation over seeds at the key's first value."""

    key: str
    first: Any
    value: Any
    figure: str
    mean_first: float
    change: Mean
    spread: float

    @property
    def size(self) -> float:
        """The change in spreads: infinite where chance does not move the figure at all, NaN where one seed is all."""
        if self.change.mean == 0.0:
            return 0.0
        return abs(self.change.mean) / self.spread if self.spread != 0.0 else math.inf

    @property
    def relative(self) -> float:
        """The change as a share of the first value's mean, infinite from zero."""
        if self.change.mean == 0.0:
            return 0.0
        return self.change.mean / abs(self.mean_first) if self.mean_first else math.copysign(math.inf, self.change.mean)

    def as_row(self) -> dict[str, Any]:
        """Return it as plain data; what is not finite is None."""
        change = self.change
        numbers = {
            "mean_first": self.mean_first,
            "change": change.mean,
            "low": change.low,
            "high": change.high,
            "spread": self.spread,
            "size": self.size,
            "relative": self.relative,
        }
        return {
            "key": self.key,
            "first": self.first,
            "value": self.value,
            "figure": self.figure,
            "unit": UNITS.get(self.figure, ""),
            **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
            "seeds": change.count,
            "excludes_zero": change.excludes_zero,
        }


def effects(statistics: Statistics, confidence: float = 0.95) -> list[Effect]:
    """Return the effects of all varied keys on the key figures, the largest first.

    Those whose interval excludes zero stand before the others, each by size over spread, then by relative size.
    """
    return sorted(_effects(statistics, confidence), key=_order)


def _effects(statistics: Statistics, confidence: float) -> Iterator[Effect]:
    for key, (first, *others) in statistics.cells.items():
        for figure in statistics.figures:
            at_first = statistics.by_seed({key: first}, figure)
            if not len(at_first):
                continue
            spread = float(at_first.std(ddof=1)) if len(at_first) > 1 else math.nan
            for value in others:
                change = statistics.differences({key: first}, {key: value}, figure, confidence)
                if change.count:
                    yield Effect(key, first, value, figure, float(at_first.mean()), change, spread)


def _order(effect: Effect) -> tuple[bool, float, float]:
    size = effect.size
    known = not math.isnan(size)
    return (known and not effect.change.excludes_zero, -size if known else 0.0, -abs(effect.relative))
