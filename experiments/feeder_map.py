"""A feeder as a picture: electrical distance along x, one row for every lateral."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cosim.experiments.plots import BAD, GREY, ROOM_FOR_SCALE, Figure, label, layout, listed, scale_above
from cosim.models.grid.feeder import Feeder
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import Limits
from cosim.models.grid.topology import Tree, is_radial, tree

_LABELLED_BUSES = 80
# Room that a letter takes, as a part of the picture's width.
_LABEL_GAP = 0.022
_IDLE_KW = 0.05
# Branches are drawn in three widths, by what they carry of the most that one carries.
_SHARES = np.array([0.1, 0.4])
_COLOURS = [[0, "#2c5fa8"], [0.5, "#e8e4d8"], [1, "#b3421f"]]


@dataclass(frozen=True)
class FeederPlan:
    """Where each bus of a feeder is drawn.

    Attributes:
        distance: sizes of the impedances between upstream and a bus, in % of nominal voltage per MVA (B,)
        row: line of the drawing, 0 at the top, int64 (B,)
        tree: the paths along which distances add up; on a meshed feeder some of its branches

    """

    distance: np.ndarray
    row: np.ndarray
    tree: Tree


@dataclass(frozen=True)
class Moment:
    """A solved interval: `vm_pu` (B,), `branch_p_kw` (L,), `loading_percent` (L,).

    `closed` is its switch state (L,), None for that of the network's file; `bus_p_kw` (B,) what is fed in at each bus,
    None where that is not known.
    """

    vm_pu: np.ndarray
    branch_p_kw: np.ndarray
    loading_percent: np.ndarray
    closed: np.ndarray | None = None
    bus_p_kw: np.ndarray | None = None


def feeder_plan(feeder: Feeder, closed: np.ndarray | None = None) -> FeederPlan:
    """Lay out a feeder in a switch state (L,), its own by default.

    No lines of its tree cross, laterals hang below trunks.
    """
    state = feeder.closed if closed is None else closed
    spanned = tree(feeder, _spanning(feeder, state))
    distance = _distance(feeder, spanned, state)
    return FeederPlan(distance, _rows(spanned, distance), spanned)


def feeder_map(feeder: Feeder, moment: Moment, limits: Limits) -> Figure:
    """Draw an interval: buses coloured by voltage, their shape says which way power goes; wide branches carry much.

    Buses beyond a limit are ringed, overloaded branches are red.
    """
    closed = feeder.closed if moment.closed is None else moment.closed
    plan = feeder_plan(feeder, closed)
    fed = plan.tree.order[plan.tree.parent[plan.tree.order] >= 0]
    into = plan.tree.parent_branch[fed]
    hot = (moment.loading_percent[into] > limits.loading_percent * (1 + 1e-6)) & (into >= 0)
    power = np.abs(moment.branch_p_kw[into])
    wide = np.searchsorted(_SHARES, power / max(float(power.max(initial=0.0)), 1e-9), side="right")
    traces = [_branches(plan, fed[~hot & (wide == width)], width) for width in range(len(_SHARES) + 1)]
    traces += [
        _branches(plan, fed[hot], None),
        _chords(feeder, plan, closed, "closed, makes a loop", "solid"),
        _chords(feeder, plan, ~closed, "open", "dot"),
        _buses(feeder, plan, moment, limits),
    ]
    return {"data": [trace for trace in traces if trace["x"]], "layout": _laid_out(plan)}


def _laid_out(plan: FeederPlan) -> dict[str, Any]:
    rows = int(plan.row.max(initial=0)) + 1
    drawn = layout(
        min(640, max(300, 150 + 34 * rows)),
        {"title": {"text": "electrical distance from upstream, sum of |Z| (% per MVA)"}, "automargin": True},
    )
    drawn["hovermode"] = "closest"
    drawn["yaxis"] = {"visible": False, "range": [rows - 0.4, -0.7]}
    drawn["xaxis"]["zeroline"] = False
    drawn["legend"] |= {"yref": "container", "y": 0, "yanchor": "bottom"}
    drawn["margin"] |= ROOM_FOR_SCALE | {"b": 64}
    return drawn


def _spanning(feeder: Feeder, closed: np.ndarray) -> np.ndarray:
    """Return closed branches that reach every bus with voltage once: bool (L,)."""
    if is_radial(feeder, closed):
        return closed
    leader = feeder.fused.copy()
    leader[np.isin(leader, leader[feeder.slack])] = leader[feeder.slack[0]]
    kept = np.zeros(len(closed), dtype=bool)
    for branch in np.flatnonzero(closed):
        near, far = leader[feeder.branch_from[branch]], leader[feeder.branch_to[branch]]
        if near != far:
            kept[branch] = True
            leader[leader == far] = near
    return kept


def _distance(feeder: Feeder, spanned: Tree, closed: np.ndarray) -> np.ndarray:
    """Add up sizes of impedances outwards along the tree, in % of nominal voltage per MVA (B,).

    The impedance between two neighbours is -1 over their mutual admittance. Sizes are added, not the complex
    numbers: a transformer's vector group turns those.
    """
    admittance = PowerFlow(feeder).admittance(closed)
    bus = spanned.order[spanned.parent[spanned.order] >= 0]
    near, far = admittance.internal[spanned.parent[bus]], admittance.internal[bus]
    mutual = np.abs(np.asarray(admittance.ybus[near, far])).ravel()
    apart = (near != far) & (mutual > 0)
    step = np.divide(1.0, mutual, out=np.zeros(len(bus)), where=apart)
    reached = np.zeros(len(feeder.bus_ids))
    for place, own in zip(bus.tolist(), step.tolist(), strict=True):
        reached[place] = reached[spanned.parent[place]] + own
    return reached * 100.0 * 1000.0 / admittance.base_kva


def _rows(spanned: Tree, distance: np.ndarray) -> np.ndarray:
    """Give each lateral a row of its own, those that leave further out nearer to their trunk (B,).

    From every bus the child with the farthest end goes straight on. Rows are handed out from the ends
    inwards: a lateral's riser then only meets rows that begin beyond it.
    """
    children = _children(spanned, distance)
    row = np.zeros(len(distance), dtype=np.int64)
    waiting, line = children[-1][::-1], 0
    while waiting:
        trunk = [waiting.pop()]
        while trunk:
            bus = trunk.pop()
            row[bus] = line
            trunk = children[bus][:1]
            waiting += children[bus][:0:-1]
        line += 1
    return row


def _children(spanned: Tree, distance: np.ndarray) -> dict[int, list[int]]:
    """List what each bus feeds, the way to the farthest end first; what has no parent stands under -1."""
    reach = distance.copy()
    children: dict[int, list[int]] = {bus: [] for bus in [-1, *spanned.order.tolist()]}
    for bus in spanned.order[::-1].tolist():
        above = int(spanned.parent[bus])
        children[above].append(bus)
        if above >= 0:
            reach[above] = max(reach[above], reach[bus])
    return {bus: sorted(fed, key=lambda child: (-reach[child], child)) for bus, fed in children.items()}


def _branches(plan: FeederPlan, fed: np.ndarray, width: int | None) -> dict[str, Any]:
    """Draw the branch into each bus as a riser at its parent and a level line; no width says that it is overloaded."""
    parent, gap = plan.tree.parent[fed], np.full(len(fed), np.nan)
    x = np.column_stack([plan.distance[parent], plan.distance[parent], plan.distance[fed], gap])
    y = np.column_stack([plan.row[parent], plan.row[fed], plan.row[fed], gap])
    if width is None:
        return _line(x, y, "overloaded branch", {"color": BAD, "width": 5})
    drawn = _line(x, y, "branch, wider the more it carries", {"color": GREY, "width": (1.0, 2.5, 5.0)[width]})
    return drawn | {"showlegend": width == len(_SHARES), "legendgroup": "branches"}


def _chords(feeder: Feeder, plan: FeederPlan, which: np.ndarray, name: str, dash: str) -> dict[str, Any]:
    """Draw branches that are no part of the tree straight."""
    reached = np.zeros(len(feeder.bus_ids), dtype=bool)
    reached[plan.tree.order] = True
    off = which & reached[feeder.branch_from] & reached[feeder.branch_to]
    off[plan.tree.parent_branch[plan.tree.parent_branch >= 0]] = False
    start, end, gap = feeder.branch_from[off], feeder.branch_to[off], np.full(int(off.sum()), np.nan)
    x = np.column_stack([plan.distance[start], plan.distance[end], gap])
    y = np.column_stack([plan.row[start], plan.row[end], gap])
    return _line(x, y, name, {"color": GREY, "width": 1, "dash": dash})


def _line(x: np.ndarray, y: np.ndarray, name: str, line: dict[str, Any]) -> dict[str, Any]:
    points = {"x": listed(x.ravel(), 4), "y": listed(y.ravel(), 0)}
    return {"type": "scatter", "mode": "lines", "name": name, "line": line, "hoverinfo": "skip", **points}


def _buses(feeder: Feeder, plan: FeederPlan, moment: Moment, limits: Limits) -> dict[str, Any]:
    order = plan.tree.order
    vm = moment.vm_pu[order]
    beyond = (vm > limits.vm_max_pu + 1e-6) | (vm < limits.vm_min_pu - 1e-6)
    half = max(limits.vm_max_pu - 1.0, 1.0 - limits.vm_min_pu, 0.01)
    names = [label(str(bus)) for bus in feeder.bus_ids[order].tolist()]
    labelled = len(order) <= _LABELLED_BUSES
    return {
        "type": "scatter",
        "mode": "markers+text" if labelled else "markers",
        "name": "bus",
        "showlegend": False,
        "x": listed(plan.distance[order], 4),
        "y": plan.row[order].tolist(),
        "text": _spaced(names, plan, order) if labelled else "",
        "textposition": "top center",
        "textfont": {"size": 10},
        "cliponaxis": False,
        "hovertext": [
            f"bus {name}: {_reading(plan, moment, bus)}" for name, bus in zip(names, order.tolist(), strict=True)
        ],
        "hoverinfo": "text",
        "marker": {
            "size": 12 if labelled else 7,
            "symbol": _symbols(order, feeder, moment),
            "color": listed(vm, 4),
            "cmin": 1.0 - half,
            "cmax": 1.0 + half,
            "colorscale": _COLOURS,
            "colorbar": scale_above(tickvals=[1.0 - half, 1.0, 1.0 + half], tickformat=".2f", ticksuffix=" pu"),
            "line": {
                "width": np.where(beyond, 3, 1).tolist(),
                "color": np.where(beyond, BAD, "#666").tolist(),
            },
        },
    }


def _spaced(names: list[str], plan: FeederPlan, order: np.ndarray) -> list[str]:
    """Return the names that can be read beside each other; of those too near, the one farther out has none."""
    least = _LABEL_GAP * max(float(plan.distance[order].max()), 1e-9)
    until: dict[int, float] = {}
    spaced = [""] * len(names)
    for place in np.argsort(plan.distance[order], kind="stable").tolist():
        row, x = int(plan.row[order[place]]), float(plan.distance[order[place]])
        if x >= until.get(row, 0.0):
            spaced[place], until[row] = names[place], x + least * len(names[place])
    return spaced


def _symbols(order: np.ndarray, feeder: Feeder, moment: Moment) -> list[str]:
    """Return the shape of each bus: upstream, feeding in, taking out, or neither."""
    power = np.zeros(len(feeder.bus_ids)) if moment.bus_p_kw is None else moment.bus_p_kw
    shape = np.select([power > _IDLE_KW, power < -_IDLE_KW], ["triangle-up", "triangle-down"], "circle")
    shape[feeder.slack] = "square"
    symbols: list[str] = shape[order].tolist()
    return symbols


def _reading(plan: FeederPlan, moment: Moment, bus: int) -> str:
    branch = int(plan.tree.parent_branch[bus])
    voltage = f"{moment.vm_pu[bus]:.4f} pu"
    if branch < 0:
        return voltage
    power, loading = abs(moment.branch_p_kw[branch]), moment.loading_percent[branch]
    return f"{voltage}<br>fed by a branch that carries {power:,.1f} kW" + (f", {loading:.1f} %" if loading else "")
