"""The pictures and words of a run as it stands: those of the report, drawn of its last intervals."""

from typing import Final

import numpy as np

from cosim.experiments import plots_shares, plots_time, says
from cosim.experiments.dashboard.watch import View
from cosim.experiments.feeder_map import feeder_map, feeder_plan
from cosim.experiments.feeder_profile import MOST_BUSES, feeder_profile
from cosim.experiments.key_figures import number
from cosim.experiments.pictures import Picture
from cosim.experiments.plots import listed
from cosim.experiments.report_data import BAND
from cosim.models.grid.state import VOLTAGE_TOLERANCE_PU

TITLES: Final = {
    "feeder": "The feeder now",
    "voltage": "Voltages and limits",
    "envelopes": "Envelopes and net power",
    "price": "Price and volume",
    "negotiation": "How soon room was agreed",
}
"""All pictures by name, in the order of the page."""
# So long without anything new is worth a word, and so many of the usual intervals.
_QUIET_S = 15.0
_QUIET_INTERVALS = 10
_MAX_CAUSE = 40


def pictures(view: View) -> dict[str, Picture]:
    """Draw a run with at least one settled interval; without a negotiation there is no picture of one."""
    window, axis, limits = view.window, view.axis, view.limits
    lately = f"the last {len(window['interval']):,} intervals"
    drawn = {
        "feeder": _feeder(view),
        "voltage": Picture(
            says.voltages(window, limits),
            plots_time.voltage_band(window, window, limits, axis, marked=None),
            f"All buses, {lately}.",
        ),
        "envelopes": _envelopes(view, lately),
        "price": Picture(
            says.price(window, axis), plots_time.price_and_volume(window, axis), f"{lately.capitalize()}."
        ),
    }
    return drawn | {"negotiation": _negotiation(view, lately)} if _bargains(view) else drawn


def progress(view: View) -> str:
    """Say how far a run is, how fast it goes and how long it still takes, or why it does not go on."""
    settled = f"{view.settled:,} of {view.total:,} intervals"
    if not view.settled:
        return "Begun; no interval is settled yet."
    count = violations(view)
    kept = f"{count or 'no'} violation{'' if count == 1 else 's'}" + ("" if view.finished else " so far")
    if view.finished:
        return f"Finished: {settled}; {kept}."
    if _is_quiet(view):
        return f"{settled}; {kept}. Nothing new for {_duration(view.quiet_s)}."
    if not view.rate:
        return f"{settled}; {kept}."
    left = _duration((view.total - view.settled) / view.rate)
    return f"{settled}, {view.rate:.3g} a second, about {left} left; {kept}."


def way_on(view: View) -> str | None:
    """Return the command that comes next: "report" after a run, "resume" where it may have been stopped."""
    return "report" if view.finished else "resume" if _is_quiet(view) else None


def headlines(view: View) -> list[tuple[str, str, str]]:
    """Return the figures that stand large on top: what each is, its value, and its unit or more of it."""
    last = {name: float(values[-1]) for name, values in view.window.items()}
    buses, branches = view.sums["over_buses"] + view.sums["under_buses"], view.sums["over_branches"]
    dark = f", {view.sums['dark_buses']:,.0f} buses without voltage" if view.sums.get("dark_buses") else ""
    most = max(view.counts.items(), key=lambda item: item[1], default=None)
    day, days = (view.settled - 1) // view.per_day + 1, view.scenario["time"]["days"]
    return [
        ("Simulated", f"Day {day:,} of {days:,}", f"{view.moment_of(view.settled - 1):%a %d %b %Y %H:%M}"),
        ("Violations so far", number(violations(view), 0), f"{buses:,.0f} at buses, {branches:,.0f} at branches{dark}"),
        ("Voltages now", f"{last['vm_min_pu']:.3f} to {last['vm_max_pu']:.3f}", "pu"),
        ("Market price now", number(last["price_eur_per_kwh"], 4), "EUR/kWh"),
        ("Traded so far", number(view.sums["traded_wh"] / 1000.0, 0), "kWh"),
        ("Events so far", number(sum(view.counts.values()), 0), f"most of all {most[0][:_MAX_CAUSE]}" if most else ""),
    ]


def violations(view: View) -> int:
    """Count what has been beyond a limit so far: buses and branches, once for every interval."""
    return int(sum(view.sums.get(name, 0.0) for name in ("over_buses", "under_buses", "over_branches")))


def _bargains(view: View) -> bool:
    return bool(np.isfinite(view.window.get("plan_room_rounds", np.nan)).any())


def _is_quiet(view: View) -> bool:
    return not view.finished and view.quiet_s > max(_QUIET_S, _QUIET_INTERVALS / (view.rate or np.inf))


def _feeder(view: View) -> Picture:
    feeder, moment = view.feeder, view.moment
    if feeder is None or moment is None:
        return Picture("The network file of this run is no longer where it was, so there is no map.", None)
    said = _grid(view)
    if len(feeder.bus_ids) > MOST_BUSES:
        plan = feeder_plan(feeder, moment.closed)
        figure = feeder_profile(plan, moment.vm_pu, view.limits)
        return Picture(said, figure, "So many buses are counted by distance and voltage.")
    return Picture(
        said,
        feeder_map(feeder, moment, view.limits),
        "A square is upstream; a triangle points up where a bus feeds in and down where it takes out. Colours are"
        " voltages, a bus beyond a limit has a red ring.",
    )


def _grid(view: View) -> str:
    """Say which buses are highest and lowest in the last interval, and what flows upstream."""
    moment, ids = view.moment, view.manifest["bus_ids"]
    assert moment is not None
    vm = np.where(moment.vm_pu > 0.0, moment.vm_pu, np.nan)
    if not np.isfinite(vm).any():
        return "No bus has voltage in the last interval."
    low, high = int(np.nanargmin(vm)), int(np.nanargmax(vm))
    beyond = (vm > view.limits.vm_max_pu + VOLTAGE_TOLERANCE_PU) | (vm < view.limits.vm_min_pu - VOLTAGE_TOLERANCE_PU)
    dead = int(np.isnan(vm).sum())
    dark = f", {dead} without voltage" if dead else ""
    slack_kw = float(view.window["slack_kw"][-1])
    return (
        f"{view.moment_of(view.settled - 1):%a %d %b %H:%M}: bus {ids[high]} is highest at {vm[high]:.4f} pu, bus"
        f" {ids[low]} lowest at {vm[low]:.4f} pu, {int(beyond.sum()) or 'none'} beyond a limit{dark};"
        f" {abs(slack_kw):,.0f} kW {'come from' if slack_kw > 0 else 'flow to'} upstream."
    )


def _envelopes(view: View, lately: str) -> Picture:
    bands = [listed(view.window[name], 1) for name in BAND]
    lower, upper, net, _ = (float(view.window[name][-1]) for name in BAND)
    way = f"export {net:,.0f} kW" if net > 0 else f"import {-net:,.0f} kW"
    return Picture(
        f"Together prosumers {way} where they may export up to {upper:,.0f} and import up to {-lower:,.0f} kW.",
        plots_time.envelope_bands(bands, view.axis),
        f"Envelopes and powers of all {len(view.manifest['ids']):,} prosumers added up, {lately}.",
    )


def _negotiation(view: View, lately: str) -> Picture:
    rounds, agreed = view.window["plan_room_rounds"], view.window["plan_room_settled"]
    # An operator that is silent bargains with nobody.
    held = np.isfinite(rounds)
    rounds, agreed = rounds[held].astype(np.int64), agreed[held].astype(bool)
    return Picture(says.rounds(rounds, agreed), plots_shares.rounds_needed(rounds, agreed), f"{lately.capitalize()}.")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
