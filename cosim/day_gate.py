"""The day gate: at a fixed local hour the room of the next local day is negotiated.

A local day has 92, 96 or 100 quarter-hours. A run that begins negotiates what is left of its first day at once.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cosim.models.time import SECONDS_PER_HOUR, Horizon, Interval


@dataclass(frozen=True, slots=True)
class DayGate:
    """When the gate closes: `hour` of the clock in `zone`, for intervals of a run that begins at `run_start`."""

    run_start: datetime
    zone: str
    interval_s: int
    hour: int = 12

    def days(self, now: int, lead: int) -> list[range]:
        """Return the intervals of each day to be negotiated at tick `now`, as far as they are not decided yet.

        What is decided at a tick is interval ``now + lead``; a run begins at tick ``-lead``, with what is left of its
        first day, and with the next one where its gate has passed.
        """
        begins, undecided = now == -lead, now + lead
        today = self._local(0 if begins else now).date()
        tomorrow, after = (self._midnight(today + timedelta(days=ahead)) for ahead in (1, 2))
        found = [range(undecided, tomorrow)] if begins else []
        closed = self._closes(today)
        if (closed <= now if begins else closed == now) and tomorrow > 0:
            found.append(range(max(tomorrow, undecided), after))
        return found

    def start_of_day(self, index: int) -> int:
        """Return the interval with which the local day of an interval begins."""
        return self._midnight(self._local(index).date())

    def end_of_day(self, index: int) -> int:
        """Return the interval with which the next local day begins."""
        return self._midnight(self._local(index).date() + timedelta(days=1))

    def horizon(self, day: range) -> Horizon:
        """Return a day as a horizon of hours, with a shorter last step where it does not divide."""
        per_hour = max(1, SECONDS_PER_HOUR // self.interval_s)
        whole, rest = divmod(len(day), per_hour)
        counts = (per_hour,) * whole + ((rest,) if rest else ())
        return Horizon(Interval(day.start, day.start * self.interval_s, self.interval_s), counts)

    def _local(self, index: int) -> datetime:
        return (self.run_start + timedelta(seconds=index * self.interval_s)).astimezone(ZoneInfo(self.zone))

    def _closes(self, day: date) -> int:
        """Return the first tick at or after the gate of a local day, which is about the next."""
        gate = datetime(day.year, day.month, day.day, self.hour, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)
        return -round((self.run_start.astimezone(UTC) - gate).total_seconds() // self.interval_s)

    def _midnight(self, day: date) -> int:
        """Return the interval with which a local day begins."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)
        return round((midnight - self.run_start.astimezone(UTC)).total_seconds()) // self.interval_s
