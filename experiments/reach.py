"""How far profiles must reach beyond a run: back for its forecasts, ahead for its plans."""

from datetime import timedelta

from cosim.experiments.scenario import Time
from cosim.models.errors import BadInputError, Fault
from cosim.models.profiles import Profiles
from cosim.setting import Setting


def check_reach(setting: Setting, profiles: Profiles, time: Time, file: str) -> None:
    """Refuse a run whose forecasts or plans would look beyond the profile table: BadInputError with both faults."""
    step = timedelta(seconds=setting.interval_s)
    faults = []
    ahead = setting.horizon(0).base_intervals + setting.gate_lead
    per_day = 86_400 // setting.interval_s
    behind = setting.gate_lead + max(per_day, setting.community.portfolio.demand.delay_intervals)
    left = profiles.values.shape[1] - profiles.first - setting.intervals - ahead
    if left < 0:
        days, latest = -(left * step // timedelta(days=1)), (time.start + left * step).isoformat()
        start = f"a run of this length can start until {latest}"
        if left + profiles.first < behind:
            most = (profiles.values.shape[1] - behind - ahead) * step // timedelta(days=1)
            start = f"no start leaves room for a run of this length; allowed are at most {most} days"
        allowed = (
            f"the profiles end too early by {days} day{'s' if days > 1 else ''} (a plan looks {ahead} intervals "
            f"ahead): {start}"
        )
        faults.append(Fault(file, "time.days", str(time.days), allowed))
    if profiles.first < behind:
        earliest = (time.start + (behind - profiles.first) * step).isoformat()
        allowed = f"what came before must be known: allowed is {earliest} or later"
        faults.append(Fault(file, "time.start", time.start.isoformat(), allowed))
    if faults:
        raise BadInputError(faults)
