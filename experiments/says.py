"""What there is to see in each picture of a run, in one sentence, from its figures."""

from collections.abc import Mapping, Sequence

import numpy as np

from cosim.experiments.plots import Columns, TimeAxis
from cosim.experiments.report_data import RunData
from cosim.models.grid.state import VOLTAGE_TOLERANCE_PU, Limits


def price(intervals: Columns, axis: TimeAxis) -> str:
    """Say how much was traded at which price, against what the supplier pays and charges."""
    traded = intervals["traded_wh"].astype(float)
    if not traded.any():
        return "Nobody traded: what is drawn are the supplier's prices."
    mean, low, high = (
        float(np.nansum(intervals[key] * traded) / traded.sum())
        for key in ("price_eur_per_kwh", "sell_eur_per_kwh", "energy_eur_per_kwh")
    )
    busiest = int(np.argmax(traded))
    return (
        f"{traded.sum() / 1000:,.0f} kWh change hands at {mean:.3f} EUR/kWh on average, where the supplier would pay"
        f" {low:.3f} and charge {high:.3f}; most, {traded[busiest] / 1000:,.0f} kWh, on {axis.said(busiest)}."
    )


def envelopes(totals: Columns, people: Columns, axis: TimeAxis) -> str:
    """Say how much of their room prosumers use, and how often one is held back."""
    net = totals["net_kw"]
    used = (np.divide(net, totals[edge], out=np.zeros(len(net)), where=np.abs(totals[edge]) > 1e-6) for edge in _EDGES)
    out, into = (np.where(way, share, 0.0) for share, way in zip(used, (net > 0, net < 0), strict=True))
    bound, cells = int(people["bound"].sum()), len(net) * len(people["bound"])
    return (
        f"Together prosumers use up to {100 * out.max():.0f} % of their room to export ({axis.said(int(out.argmax()))})"
        f" and {100 * into.max():.0f} % of that to import ({axis.said(int(into.argmax()))});"
        f" one by one, they stand at an edge {_part(bound / cells)} of the time."
    )


def held_back(people: Columns, by_distance: np.ndarray, share: np.ndarray, axis: TimeAxis, block: int) -> str:
    """Say whether the far end is held back more than the near one, and when most are."""
    if not people["bound"].any():
        return "Nobody is ever held back by an envelope."
    third = max(1, len(by_distance) // 3)
    near, far = (people["bound"][rows].mean() / axis.intervals for rows in (by_distance[:third], by_distance[-third:]))
    peak = int(np.argmax(np.abs(share).mean(axis=0)))
    kind = "export" if share[:, peak].sum() > 0 else "import"
    more = "more" if far > near else "less" if far < near else "neither more nor less"
    return (
        f"The third farthest from upstream is held back {_part(far)} of the time, {more} than the nearest third"
        f" ({_part(near)}); most prosumers at once around {axis.said(peak * block)}, when they {kind}."
    )


def voltages(intervals: Columns, limits: Limits) -> str:
    """Say how near voltages come to their limits, or how far beyond."""
    low, high = float(intervals["vm_min_pu"].min()), float(intervals["vm_max_pu"].max())
    broken = int((intervals["over_buses"] + intervals["under_buses"]).sum())
    dark = int(intervals["dark_buses"].sum()) if "dark_buses" in intervals else 0
    missing = f" {dark:,} bus-intervals are without voltage." if dark else ""
    span = f"Voltages lie between {low:.4f} and {high:.4f} pu"
    if broken:
        beyond = max(high - limits.vm_max_pu, limits.vm_min_pu - low)
        return f"{span}: {broken:,} bus-intervals are beyond a limit, by up to {beyond:.4f} pu.{missing}"
    room, side = min((limits.vm_max_pu - high, "upper"), (low - limits.vm_min_pu, "lower"))
    return f"{span} and never leave their limits; the {side} one is nearest, with {room:.4f} pu to spare.{missing}"


def feeder(data: RunData) -> str:
    """Say which buses are highest and lowest at the worst interval, and what flows upstream."""
    assert data.feeder is not None
    moment, ids = data.moment, data.feeder.bus_ids
    low, high = int(np.nanargmin(moment.vm_pu)), int(np.nanargmax(moment.vm_pu))
    slack_kw = float(data.intervals["slack_kw"][data.worst])
    loading = float(data.intervals["loading_max_percent"][data.worst])
    beyond = _beyond(moment.vm_pu, data.limits)
    return (
        f"{data.axis.said(data.worst)}, when the grid was nearest to a limit or farthest beyond: bus {ids[high]} is"
        f" highest at {moment.vm_pu[high]:.4f} pu, bus {ids[low]} lowest at {moment.vm_pu[low]:.4f} pu, {beyond} beyond"
        f" a limit; {abs(slack_kw):,.0f} kW {'come from' if slack_kw > 0 else 'flow to'} upstream"
        + (f", and the fullest branch is at {loading:.0f} %." if loading > 0 else ".")
    )


def trades(columns: Columns, ids: Sequence[str]) -> str:
    """Say who sells and buys most, and how many pairs deal with each other."""
    kwh = columns["energy_wh"] / 1000.0
    if not kwh.sum():
        return "Nobody traded."
    sold, bought = (np.bincount(columns[side], kwh, len(ids)) for side in ("seller", "buyer"))
    seller, buyer = int(sold.argmax()), int(bought.argmax())
    pairs = len(np.unique(columns["seller"].astype(np.int64) * len(ids) + columns["buyer"]))
    return (
        f"{ids[seller]} sells most ({_part(sold[seller] / kwh.sum())} of all), {ids[buyer]} buys most"
        f" ({_part(bought[buyer] / kwh.sum())}); {pairs:,} of {len(ids) * (len(ids) - 1):,} possible pairs"
        " traded at least once."
    )


def money(gained: Mapping[str, float], before: Mapping[str, float]) -> str:
    """Say who gains and who pays, and what the market shifts between them."""
    most, least = max(gained, key=gained.__getitem__), min(gained, key=gained.__getitem__)
    said = f"The {most} gained most ({gained[most]:,.0f} EUR), the {least} paid most ({-gained[least]:,.0f} EUR)"
    if not before:
        return f"{said}; all accounts add up to nothing."
    shift = {name: gained[name] - before[name] for name in gained}
    winner, loser = max(shift, key=shift.__getitem__), min(shift, key=shift.__getitem__)
    return (
        f"{said}; against no market the {winner} {_are(winner)} better off by {shift[winner]:,.0f} EUR,"
        f" the {loser} {_are(loser)} worse off by {-shift[loser]:,.0f} EUR."
    )


def energy(sides: Mapping[str, Sequence[tuple[str, float]]]) -> str:
    """Say what feeds the feeder, what uses it most, and what is lost."""
    into, out = dict(sides["in"]), dict(sides["out"])
    source, use = max(into, key=into.__getitem__), max(out, key=out.__getitem__)
    total = sum(into.values()) or 1.0
    return (
        f"Of {total:,.0f} kWh that enter the feeder most are {source} ({_part(into[source] / total)}), of those that"
        f" leave it {use} ({_part(out[use] / total)}); losses take {_part(out['losses'] / total)}."
    )


def fairness(amounts: Mapping[str, np.ndarray], ginis: Mapping[str, float | None]) -> str:
    """Say what the half that has least has of each amount."""
    parts = []
    for name, values in amounts.items():
        half = np.sort(values)[: len(values) // 2].sum() / values.sum()
        parts.append(f"{_part(half)} of {name} (Gini {ginis[name] or 0.0:.2f})")
    return f"The half of prosumers that has least has {', '.join(parts)}; with equal shares it would be 50 %."


def rounds(count: np.ndarray, agreed: np.ndarray) -> str:
    """Say how soon talks about room end, and whether in agreement."""
    middle = f"{np.median(count):.0f}"
    within = f"{middle} round{'' if middle == '1' else 's'}"
    return (
        f"Talks about room end within {within} in half of the intervals and take {count.max()}"
        f" at most; {_part(float(agreed.mean()))} end in agreement, the others with what the grid was shown to carry."
    )


def strategies(names: Sequence[str], eur_per_kwh: np.ndarray) -> str:
    """Say which strategy pays least for what it consumes."""
    best, worst = int(np.nanargmin(eur_per_kwh)), int(np.nanargmax(eur_per_kwh))
    return (
        f"Who follows {names[best]} pays least for a kWh consumed, {eur_per_kwh[best]:.3f} EUR, who follows"
        f" {names[worst]} most, {eur_per_kwh[worst]:.3f} EUR; devices differ, too, not only strategies."
    )


def shares(names: Sequence[str], parts: np.ndarray) -> str:
    """Say which strategy gained and which lost followers from the first day to the last; `parts` (strategies, days)."""
    change = parts[:, -1] - parts[:, 0]
    up, down = int(change.argmax()), int(change.argmin())
    return (
        f"{names[up]} wins most followers, from {_part(parts[up, 0])} of prosumers on the first day to"
        f" {_part(parts[up, -1])} on the last; {names[down]} loses most, from {_part(parts[down, 0])} to"
        f" {_part(parts[down, -1])}."
    )


def time(seconds: Mapping[str, float]) -> str:
    """Say what took longest."""
    parts = {name: value for name, value in seconds.items() if name != "total"}
    most, total = max(parts, key=parts.__getitem__), max(seconds["total"], 1e-9)
    return f"{seconds['total']:.1f} s in all, {_part(parts[most] / total)} of it for {most.replace('_', ' ')}."


_EDGES = "upper_kw", "lower_kw"
# Lines do not break between a number and its unit.
_SPACE = "\N{NO-BREAK SPACE}"


def _beyond(vm_pu: np.ndarray, limits: Limits) -> str:
    count = int(
        ((vm_pu > limits.vm_max_pu + VOLTAGE_TOLERANCE_PU) | (vm_pu < limits.vm_min_pu - VOLTAGE_TOLERANCE_PU)).sum()
    )
    return f"{count:,}" if count else "none"


def _are(account: str) -> str:
    return "are" if account == "prosumers" else "is"


def _part(share: float) -> str:
    """Return a share as a percentage with two digits."""
    percent = 100.0 * share
    if 0.0 < percent < 0.1:
        return f"less than 0.1{_SPACE}%"
    return f"{percent:.0f}{_SPACE}%" if percent >= 9.95 or percent == 0.0 else f"{percent:.1f}{_SPACE}%"
