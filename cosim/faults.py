"""Faults that a scenario declares, as values: who is silent, what meters make of energy, which branches are forced.

What befalls letters on their way stands in `cosim.post`. Spans are intervals of the run, `begin` included, `end` not.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Span:
    """The intervals [begin, end)."""

    begin: int
    end: int

    def __contains__(self, index: int) -> bool:
        return self.begin <= index < self.end


@dataclass(frozen=True, slots=True)
class Silence:
    """Who says and hears nothing about the intervals of a span: an actor by its name, or a prosumer by its row."""

    who: str | int
    span: Span


@dataclass(frozen=True, slots=True)
class WrongMeter:
    """The meter of a prosumer (a row) counts `factor` times the energy that passes."""

    row: int
    factor: float
    span: Span


@dataclass(frozen=True, slots=True)
class Withheld:
    """A prosumer (a row) feeds nothing in, whatever it has sold and nominated."""

    row: int
    span: Span


@dataclass(frozen=True, slots=True)
class ForcedBranch:
    """A branch (its position) is open, or closed, whatever its operator orders: an outage, or a hand on a switch."""

    branch: int
    closed: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Faults:
    """All faults of a run but those of letters; none by default."""

    silences: tuple[Silence, ...] = ()
    meters: tuple[WrongMeter, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    branches: tuple[ForcedBranch, ...] = ()
    price_gaps: tuple[Span, ...] = ()

    def silent(self, who: str | int, index: int) -> bool:
        """Say whether somebody is silent about an interval."""
        return any(one.who == who and index in one.span for one in self.silences)

    def silent_rows(self, index: int) -> list[int]:
        """Return the prosumers that are silent about an interval."""
        return [one.who for one in self.silences if isinstance(one.who, int) and index in one.span]

    def factors(self, index: int, count: int) -> np.ndarray | None:
        """Return what the meters of `count` prosumers count of a Wh (count,), None where they count it as it is."""
        wrong = [one for one in self.meters if index in one.span]
        if not wrong:
            return None
        factors = np.ones(count)
        for one in wrong:
            factors[one.row] *= one.factor
        return factors

    def withholding(self, index: int) -> np.ndarray:
        """Return the prosumers that withhold what they could feed in (k,)."""
        return np.array([one.row for one in self.withheld if index in one.span], dtype=np.int64)

    def forced(self, closed: np.ndarray, index: int, known_at: int) -> np.ndarray:
        """Return a switch state (L,) in an interval with the branches that are forced by the beginning of another."""
        state = closed.copy()
        for one in self.branches:
            if index in one.span and one.span.begin <= known_at:
                state[one.branch] = one.closed
        return state

    def stuck(self, count: int, index: int) -> np.ndarray:
        """Mark the branches of `count` that are forced in an interval (count,)."""
        marked = np.zeros(count, dtype=bool)
        marked[[one.branch for one in self.branches if index in one.span]] = True
        return marked
