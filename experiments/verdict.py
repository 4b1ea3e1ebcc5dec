"""A run in one sentence."""

from collections.abc import Mapping
from typing import Any

# Below these a difference is a matter of rounding, not of outcome.
_NOTHING_EUR = 0.005
_NOTHING_KWH = 0.05
_PLUGIN_FAULTS = tuple(f"plugin_{what}" for what in ("raised", "refused", "retired", "timeout", "memory", "lost"))


def verdict(summary: Mapping[str, Any]) -> str:
    """Say how long a run was, what broke, and what people paid against the baseline, where there is one.

    `summary` is that of a run; with `days` in it the sentence begins with them. A negative cost is an income.
    """
    parts = [_count(summary["days"], "day")] if "days" in summary else []
    parts += [
        _count(summary["intervals"], "interval"),
        _count(summary["ac_checks"], "AC check"),
        _violations(summary),
        *_failures(summary),
        *_remarks(summary),
    ]
    sentence = ", ".join(parts)
    baseline = summary.get("baseline")
    return f"{sentence}; {_comparison(summary, baseline)}" if baseline else sentence


def grade(summary: Mapping[str, Any]) -> str:
    """Return the verdict in one word: "sound", "short" of energy served, or "broken" limits."""
    if _violation_count(summary) or summary.get("diverged"):
        return "broken"
    return "short" if _failures(summary) else "sound"


def _violation_count(summary: Mapping[str, Any]) -> int:
    """Count what was beyond a limit: buses and branches, once for every interval."""
    return int(summary["violation_bus_intervals"]) + int(summary.get("overloaded_branch_intervals", 0))


def _violations(summary: Mapping[str, Any]) -> str:
    total = _violation_count(summary)
    kinds = {
        "over voltage": summary.get("over_voltage_bus_intervals", 0),
        "under voltage": summary.get("under_voltage_bus_intervals", 0),
        "overloaded": summary.get("overloaded_branch_intervals", 0),
    }
    named = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)
    return _count(total, "violation") + (f" ({named})" if total and named else "")


def _failures(summary: Mapping[str, Any]) -> list[str]:
    """List what a reader must not miss, if there was any of it."""
    found = []
    if summary.get("diverged"):
        found.append(f"{_count(summary['diverged'], 'interval')} that the grid could not carry in full")
    if summary.get("dark_bus_intervals"):
        found.append(f"{_count(summary['dark_bus_intervals'], 'bus-interval')} without voltage")
    unserved = summary.get("unserved_kwh") or 0.0
    if unserved > _NOTHING_KWH:
        found.append(f"{unserved:,.1f} kWh not served")
    return found


def _remarks(summary: Mapping[str, Any]) -> list[str]:
    """List what plug-ins did that did not count."""
    events = summary.get("events", {})
    faults = sum(events.get(cause, 0) for cause in _PLUGIN_FAULTS)
    refused, for_good = events.get("order_refused", 0), events.get("plugin_quarantined", 0)
    found = [f"{_count(faults, 'plug-in fault')} met by the fallback"] if faults else []
    if for_good:
        found.append(f"{_count(for_good, 'plug-in')} replaced by the fallback for good")
    return [*found, f"{_count(refused, 'order')} refused or cut"] if refused else found


def _comparison(summary: Mapping[str, Any], baseline: Mapping[str, Any]) -> str:
    pays, paid = float(summary["prosumer_cost_eur"]), float(baseline["prosumer_cost_eur"])
    there = int(baseline.get("violation_bus_intervals", 0))
    broken = f" (which has {_count(there, 'violation')})" if there else ""
    return f"prosumers {_change(pays, paid)} without a market{broken}{_supplier(summary, baseline)}"


def _supplier(summary: Mapping[str, Any], baseline: Mapping[str, Any]) -> str:
    """Say what the supplier gains or loses by the market: much of what prosumers save is a transfer."""
    now, before = (figures.get("accounts_eur", {}).get("supplier") for figures in (summary, baseline))
    if now is None or before is None or abs(now - before) < _NOTHING_EUR:
        return ""
    return f", the supplier earns {abs(now - before):,.2f} EUR {'less' if now < before else 'more'}"


def _change(pays: float, paid: float) -> str:
    """Compare two costs in EUR, either of which may be an income; the words lead on to 'without a market'."""
    if abs(pays - paid) < _NOTHING_EUR:
        return f"{'earn' if pays < 0 else 'pay'} as much as"
    if abs(paid) < _NOTHING_EUR or (pays < 0) != (paid < 0):
        now, before = ("earn" if pays < 0 else "pay"), ("earning" if paid < 0 else "paying")
        return f"{now} {abs(pays):,.2f} EUR instead of {before} {abs(paid):,.2f} EUR"
    share = abs(abs(pays) / abs(paid) - 1.0) * 100.0
    more = "more" if abs(pays) > abs(paid) else "less"
    return f"{'earn' if pays < 0 else 'pay'} {_percent(share)} {more} than"


def _percent(share: float) -> str:
    if share < 0.1:
        return "less than 0.1 %"
    return f"{share:,.0f} %" if round(share, 1) >= 1.0 else f"{share:.1f} %"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
