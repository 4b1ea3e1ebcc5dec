"""From time stamps as people write them to an even grid in UTC, with every gap, repetition and clock change named."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np

from cosim.models.errors import BadInputError, Fault
from cosim.models.faults import first_faults
from cosim.models.table_file import shown

Fill = Literal["none", "hold", "linear", "zero"]
DAY_S: Final = 86_400
EXAMPLES: Final = 3
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
YEARS: Final = (1900, 2200)
CHOICES: Final = 'fill = "hold", "linear" or "zero" would stand in for it'


@dataclass(frozen=True)
class Grid:
    """An even grid in UTC: first moment, step, length, and the place of each row of the file in it (r,)."""

    begin: datetime
    step_s: int
    length: int
    place: np.ndarray

    def moment(self, place: int) -> str:
        """Return the UTC time of a place, for messages."""
        return _said(int(self.begin.timestamp()) + int(place) * self.step_s)


def stamps_utc(texts: Sequence[str], labels: Sequence[str], zone: str | None, file: str) -> np.ndarray:
    """Return seconds since 1970 UTC of stamps (r,), labelled by where they stand; BadInputError for bad ones.

    A stamp carries its offset, or it is local time of `zone`. Where clocks are put back an hour occurs twice: its
    first stamps are summer time, its second ones winter time. Where clocks are put forward an hour does not occur.
    """
    seconds = np.zeros(len(texts), dtype=np.int64)
    local = ZoneInfo(zone) if zone else None
    seen: set[datetime] = set()
    wrong: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        try:
            seconds[row] = _second(text, local, seen)
        except ValueError as error:
            wrong.setdefault(str(error), []).append(row)
    if wrong:
        raise BadInputError(first_faults(_stamp_faults(wrong, texts, labels, file), file))
    return seconds


def _stamp_faults(
    wrong: Mapping[str, Sequence[int]], texts: Sequence[str], labels: Sequence[str], file: str
) -> Iterator[Fault]:
    """Yield a fault for the first rows that each sentence is true of, and one for the rest of them."""
    for sentence, rows in wrong.items():
        for row in rows[:EXAMPLES]:
            yield Fault(file, f"{labels[row]} time", repr(shown(texts[row])), sentence)
        if rest := rows[EXAMPLES:]:
            places = f"{labels[rest[0]]} to {labels[rest[-1]]}"
            yield Fault(file, places, "", f"{len(rest)} more times of the same kind")


def _second(text: str, zone: ZoneInfo | None, seen: set[datetime]) -> int:
    """Return a stamp as a whole second since 1970 UTC; ValueError says what is wrong with it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("allowed is an ISO 8601 time such as 2016-06-20T00:00:00+01:00") from None
    if not YEARS[0] <= moment.year <= YEARS[1]:
        raise ValueError(f"allowed are the years {YEARS[0]} to {YEARS[1]}")
    if moment.microsecond:
        raise ValueError("allowed are whole seconds")
    return round((moment if moment.tzinfo else _localised(moment, zone, seen)).timestamp())


def _localised(moment: datetime, zone: ZoneInfo | None, seen: set[datetime]) -> datetime:
    if zone is None:
        allowed = "allowed is a time with its offset from UTC, such as +01:00, or a `zone` for the whole file"
        raise ValueError(f"says not which time zone it is in; {allowed}")
    placed = moment.replace(tzinfo=zone)
    if placed.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
        raise ValueError(f"does not exist in {zone.key}: the clocks were put forward")
    if moment in seen:
        placed = placed.replace(fold=1)
    seen.add(moment)
    return placed


def _said(second: int) -> str:
    return (EPOCH + timedelta(seconds=second)).isoformat()


def even_grid(seconds: np.ndarray, labels: Sequence[str], step_s: int, fill: Fill, file: str) -> Grid:
    """Place rows (r,) of seconds UTC on an even grid; BadInputError for repetitions, disorder, gaps, a wrong step."""
    begin = datetime.fromtimestamp(int(seconds[0]), UTC)
    grid = Grid(begin, step_s, int((seconds[-1] - seconds[0]) // step_s) + 1, (seconds - seconds[0]) // step_s)
    apart = np.diff(seconds)
    usual = _usual(apart)
    if usual is not None and usual != step_s:
        allowed = f"the scenario says step_s = {step_s}; allowed is step_s = {usual} if that is meant"
        raise BadInputError.one(file, "time step", f"{usual} s in most rows", allowed)
    if faults := first_faults(_grid_faults(seconds, apart, labels, grid, fill, file), file):
        raise BadInputError(faults)
    return grid


def _usual(apart: np.ndarray) -> int | None:
    """Return the distance that most neighbours have, None where there is none."""
    values, counts = np.unique(apart, return_counts=True)
    most = int(counts.argmax()) if len(counts) else 0
    return int(values[most]) if len(counts) and 2 * counts[most] > len(apart) and values[most] > 0 else None


def _grid_faults(
    seconds: np.ndarray, apart: np.ndarray, labels: Sequence[str], grid: Grid, fill: Fill, file: str
) -> Iterator[Fault]:
    odd = (apart != grid.step_s) | ((seconds[1:] - seconds[0]) % grid.step_s != 0)
    for row in (np.flatnonzero(odd) + 1).tolist():
        moment, step = _said(int(seconds[row])), int(apart[row - 1])
        where = f"{labels[row]} time"
        if step == 0:
            yield Fault(file, where, moment, "stands twice; allowed is each time once (a clock change? give `zone`)")
        elif step < 0:
            yield Fault(file, where, moment, "lies before the row above; allowed are rows in order of time")
        elif (seconds[row] - seconds[0]) % grid.step_s:
            yield Fault(file, where, moment, f"is not on the grid of {grid.step_s} s that begins {grid.moment(0)}")
        elif fill == "none" and step > grid.step_s:
            missing = step // grid.step_s - 1
            yield Fault(file, where, moment, f"{missing} rows are missing before it; {CHOICES}")
        elif step > DAY_S + grid.step_s:
            yield Fault(
                file, where, moment, "comes after a gap of more than a day; what is filled may last a day at most"
            )


def filled(
    values: np.ndarray, grid: Grid, fill: Fill, *, names: Sequence[str], labels: Sequence[str], file: str
) -> np.ndarray:
    """Spread rows (c, r), NaN where empty, over the grid (c, T) and fill what is missing, or say why not.

    `hold` repeats the value before, `linear` joins the neighbours, `zero` writes 0; none reaches over more than a day.
    """
    spread = np.full((len(values), grid.length), np.nan)
    spread[:, grid.place] = values
    if not np.isnan(spread).any():
        return spread
    if fill == "none":
        raise BadInputError(first_faults(_empty_cells(values, names, labels, file), file))
    if faults := first_faults(_too_long(spread, grid, fill, names, file), file):
        raise BadInputError(faults)
    return np.array([_fill_row(row, fill) for row in spread])


def _empty_cells(values: np.ndarray, names: Sequence[str], labels: Sequence[str], file: str) -> Iterator[Fault]:
    for column, row in np.argwhere(np.isnan(values)):
        yield Fault(file, f"{labels[row]} {names[column]}", "empty", f"a number is needed; {CHOICES}")


def _too_long(spread: np.ndarray, grid: Grid, fill: Fill, names: Sequence[str], file: str) -> Iterator[Fault]:
    """Yield holes over a day, and holes at an end that the chosen way cannot fill."""
    for name, row in zip(names, spread, strict=True):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], np.isnan(row), [False]]).astype(np.int8)))
        for first, after in zip(edges[::2], edges[1::2], strict=True):
            where = f"{name} from {grid.moment(first)}"
            if (after - first) * grid.step_s > DAY_S:
                yield Fault(file, where, f"missing for {after - first} steps", "what is filled may last a day at most")
            elif fill != "zero" and (first == 0 or (fill == "linear" and after == grid.length)):
                yield Fault(file, where, "missing at the end of the file", f'fill = "{fill}" has no neighbour there')


def _fill_row(row: np.ndarray, fill: Fill) -> np.ndarray:
    known = ~np.isnan(row)
    at = np.arange(len(row))
    if fill == "zero":
        return np.where(known, row, 0.0)
    if fill == "linear":
        return np.interp(at, at[known], row[known])
    held: np.ndarray = row[np.maximum.accumulate(np.where(known, at, 0))]
    return held
