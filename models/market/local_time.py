"""Wall-clock time of a place, as columns: tariffs follow people's clocks, the run follows UTC."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

SECONDS_PER_DAY = 86_400
QUARTER_HOUR_S = 900


def clock_seconds(times_s: np.ndarray, run_start: datetime, zone: str) -> np.ndarray:
    """Return seconds after midnight on a wall clock: int64 (m,) seconds UTC since `run_start` -> int64 (m,).

    >>> summer = datetime(2016, 3, 27, tzinfo=UTC)
    >>> (clock_seconds(np.array([0, 3600]), summer, "Europe/Berlin") // 3600).tolist()
    [1, 3]
    """
    unix_s = np.asarray(times_s, np.int64) + int(run_start.timestamp())
    # Clocks change on quarter-hours of UTC only, so one look-up serves all times of a quarter.
    quarters, row = np.unique(unix_s // QUARTER_HOUR_S, return_inverse=True)
    offsets_s = np.array([_offset_s(quarter, zone) for quarter in quarters.tolist()], np.int64)
    return np.asarray((unix_s + offsets_s[row]) % SECONDS_PER_DAY)


@lru_cache(maxsize=1 << 16)
def _offset_s(quarter: int, zone: str) -> int:
    moment = datetime.fromtimestamp(quarter * QUARTER_HOUR_S, UTC).astimezone(ZoneInfo(zone))
    offset = moment.utcoffset()
    assert offset is not None
    return int(offset.total_seconds())
