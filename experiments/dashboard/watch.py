"""What is known of a run as it goes on: its last intervals as aggregates, counts since it began, the grid as it stands.

Every look reads only what has been settled since the last one, so neither memory nor work grows with a run.
"""

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from cosim.experiments.dashboard.rows import rows
from cosim.experiments.feeder_map import Moment
from cosim.experiments.network import feeder_of
from cosim.experiments.plots import Columns, TimeAxis
from cosim.experiments.report_data import BAND
from cosim.experiments.untrusted import untrusted
from cosim.journal import LATER, Journal
from cosim.models.errors import StorageError
from cosim.models.grid.feeder import Feeder
from cosim.models.grid.state import Limits

WINDOW: Final = 192
"""Intervals that are drawn, two days of quarter hours."""
MAX_EVENTS: Final = 40
# The rate is that of so many seconds past.
_PACE_S: Final = 30.0
_QUANTILES: Final = {"low_pu": 0.05, "middle_pu": 0.5, "high_pu": 0.95}


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth a line: the interval it is about, who, why, and what happened."""

    about: int
    agent: str
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class View:
    """A run as it stands.

    Attributes:
        manifest: that of the run
        settled: number of intervals with results
        window: the last of them: the table of intervals, sums over prosumers, quantiles over buses, each (T,)
        moment: the grid in the last one, None before the first
        events: the latest first
        counts: events by cause since the run began
        sums: figures of intervals added up since then
        rate: intervals settled per second of late; None while that is not known
        quiet_s: seconds in which nothing has been settled

    """

    manifest: dict[str, Any]
    settled: int
    window: Columns
    moment: Moment | None
    feeder: Feeder | None
    events: list[Event]
    counts: dict[str, int]
    sums: dict[str, float]
    rate: float | None
    quiet_s: float

    @property
    def scenario(self) -> dict[str, Any]:
        """Return the scenario as it is run."""
        return self.manifest["scenario"]

    @property
    def total(self) -> int:
        """Number of intervals of the whole run."""
        return self.scenario["time"]["days"] * self.per_day

    @property
    def per_day(self) -> int:
        """Number of intervals in a day."""
        return 86_400 // self.scenario["time"]["interval_s"]

    @property
    def finished(self) -> bool:
        """Say whether the run has come to its end."""
        return "result_sha256" in self.manifest

    @property
    def limits(self) -> Limits:
        """Return the limits that the run is to keep."""
        return Limits(*(self.scenario["grid"][key] for key in ("vm_min_pu", "vm_max_pu", "loading_percent")))

    @property
    def axis(self) -> TimeAxis:
        """Return the time of the window, which fills from the left before it moves on."""
        shown = len(self.window.get("interval", ()))
        length = min(WINDOW, self.total)
        return TimeAxis(self.moment_of(self.settled - shown), self.scenario["time"]["interval_s"], length)

    def moment_of(self, interval: int) -> datetime:
        """Return the first moment of an interval, local to the scenario."""
        kept = self.scenario["time"]
        passed = timedelta(seconds=kept["interval_s"] * interval)
        return (datetime.fromisoformat(kept["start"]).astimezone(UTC) + passed).astimezone(ZoneInfo(kept["zone"]))


class Watch:
    """Looks at a run directory again and again; may be asked from several threads."""

    def __init__(self, folder: Path, *, clock: Any = time.monotonic) -> None:
        self.folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._forget({})

    def look(self) -> View:
        """Return the run as it stands; StorageError says what is damaged, or that it holds no run."""
        with self._lock, untrusted(self.folder):
            journal = Journal.watch(self.folder)
            try:
                self._catch_up(journal)
            finally:
                journal.close()
            rate, quiet_s = self._pace()
            return View(
                manifest=self._manifest,
                settled=self._settled,
                window=self._drawn(),
                moment=self._moment,
                feeder=self._feeder,
                events=list(self._events)[::-1],
                counts=dict(self._counts),
                sums=dict(self._sums),
                rate=rate,
                quiet_s=quiet_s,
            )

    def _forget(self, manifest: dict[str, Any]) -> None:
        """Begin anew, with another run."""
        self._manifest = manifest
        self._settled = 0
        self._window: deque[dict[str, float]] = deque(maxlen=WINDOW)
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self._counts: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()
        self._moment: Moment | None = None
        self._feeder: Feeder | None = feeder_of(manifest, self.folder) if manifest else None
        self._marks: deque[tuple[float, int]] = deque()

    def _catch_up(self, journal: Journal) -> None:
        """Take in what has been settled since the last look; all of it or, where something is damaged, nothing."""
        manifest = journal.manifest()
        if _lasting(manifest) != _lasting(self._manifest):
            self._forget(manifest)
        self._manifest = manifest
        last = journal.last_interval()
        if last is None or last < self._settled:
            return
        figures = list(rows(journal, "intervals", self._settled, last))
        recent = self._recent(journal, last, dict(figures[-WINDOW:]))
        happened = [event for _, kept in rows(journal, "events", self._settled, last) for event in _events(kept)]
        moment = _moment(journal, last, len(manifest["bus_ids"]))
        added = {name: sum(float(kept[name][0]) for _, kept in figures if name in kept) for name in _ADDED}
        self._moment = moment
        self._sums.update(added)
        self._window.extend(recent)
        self._events.extend(happened)
        self._counts.update(event.cause for event in happened)
        self._settled = last + 1

    def _recent(self, journal: Journal, last: int, figures: dict[int, Columns]) -> list[dict[str, float]]:
        """Return what is drawn of the intervals up to the last that the window has not yet, in order of time."""
        first = max(self._settled, last + 1 - WINDOW)
        kept = {at: {name: float(value[0]) for name, value in own.items()} for at, own in figures.items()}
        for at, people in rows(journal, "prosumers", first, last, BAND):
            kept[at] |= {name: float(people[name].sum()) for name in BAND}
        for at, buses in rows(journal, "buses", first, last, ("vm_pu",)):
            kept[at] |= _quantiles(buses["vm_pu"])
        return [{"interval": float(at), **kept[at]} for at in range(first, last + 1)]

    def _drawn(self) -> Columns:
        names = dict.fromkeys(name for own in self._window for name in own)
        return {name: np.array([own.get(name, np.nan) for own in self._window]) for name in names}

    def _pace(self) -> tuple[float | None, float]:
        """Return intervals per second of late, and for how many seconds there has been none."""
        now = self._clock()
        if not self._marks or self._marks[-1][1] != self._settled:
            self._marks.append((now, self._settled))
        while len(self._marks) > 2 and now - self._marks[0][0] > _PACE_S:
            self._marks.popleft()
        (began, before), (grown, after) = self._marks[0], self._marks[-1]
        return (after - before) / (grown - began) if grown > began else None, now - grown


# Figures of the table of intervals that are added up from the beginning of a run.
_ADDED: Final = ("over_buses", "under_buses", "over_branches", "dark_buses", "traded_wh")


def _lasting(manifest: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in manifest.items() if key not in LATER}


def _quantiles(vm_pu: np.ndarray) -> dict[str, float]:
    """Return where nine of ten buses with voltage lie, and the middle; NaN where none is known."""
    known = vm_pu[vm_pu > 0.0]
    found = np.quantile(known, list(_QUANTILES.values())) if len(known) else np.full(len(_QUANTILES), np.nan)
    return dict(zip(_QUANTILES, found.tolist(), strict=True))


def _events(kept: Columns) -> list[Event]:
    fields = (kept["about"].tolist(), *(map(str, kept[name]) for name in ("agent", "cause", "detail")))
    return [Event(*one) for one in zip(*fields, strict=True)]


def _moment(journal: Journal, last: int, bus_count: int) -> Moment:
    """Return the grid in an interval."""
    ((_, buses),) = rows(journal, "buses", last, last)
    ((_, branches),) = rows(journal, "branches", last, last)
    if len(buses["vm_pu"]) != bus_count:
        raise StorageError(
            f"{journal.folder}: {len(buses['vm_pu'])} buses are solved where the network has {bus_count}"
        )
    closed = branches["closed"].astype(bool) if "closed" in branches else None
    return Moment(buses["vm_pu"], branches["p_kw"], branches["loading_percent"], closed, buses["p_kw"])
