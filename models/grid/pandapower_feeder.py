"""From the tables of a pandapower network to the columns of a feeder; pandapower is not imported here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cosim.models.errors import BadInputError
from cosim.models.faults import first_faults
from cosim.models.grid.feeder import Feeder
from cosim.models.grid.graph import component_labels
from cosim.models.grid.pandapower_checks import INJECTIONS, network_faults

SWITCH_CODE = {"line": "l", "trafo": "t", "trafo3w": "t3"}


@dataclass(frozen=True, slots=True)
class Leg:
    """One two-ended branch of a pandapower network: where it stands, and which leg of a transformer."""

    table: str
    index: int
    side: str
    ends: tuple[int, int]
    rate_kva: float
    rate_a: tuple[float, float]
    closed: bool

    @property
    def name(self) -> str:
        """Unique name, such as "line 3" or "trafo3w 0 mv"."""
        return f"{self.table} {self.index} {self.side}".rstrip()


def from_pandapower(net: Any, *, name: str, citation: str = "") -> Feeder:
    """Turn a pandapower network into a feeder; the network is kept, and copied before every conversion.

    Lines, transformers, three-winding transformers (each leg a branch to a star point), impedances, shunts,
    switches, loads, static generators and storages are known. BadInputError for what has no fixed injection
    (generators, wards, converters) and for what pandapower lets pass: negative length, duplicate index, NaN.
    """
    faults = first_faults(network_faults(net, name), name)
    if faults:
        raise BadInputError(faults)
    stars = star_ids(net)
    bus_ids = np.concatenate([net.bus.index.to_numpy(np.int64), stars])
    at = {bus: position for position, bus in enumerate(bus_ids.tolist())}
    legs = list(branch_legs(net))
    load_kw, load_kvar = _base_injections(net, at)
    slacks = net.ext_grid[net.ext_grid.in_service.astype(bool)]
    star_kv = net.bus.vn_kv.loc[net.trafo3w.hv_bus].to_numpy(float)
    return Feeder(
        name=name,
        bus_ids=bus_ids,
        base_kv=np.concatenate([net.bus.vn_kv.to_numpy(float), star_kv]),
        load_kw=load_kw,
        load_kvar=load_kvar,
        branch_ids=tuple(leg.name for leg in legs),
        branch_from=np.array([at[leg.ends[0]] for leg in legs], dtype=np.int64),
        branch_to=np.array([at[leg.ends[1]] for leg in legs], dtype=np.int64),
        branch_kind=tuple(leg.table for leg in legs),
        branch_rate_kva=np.array([leg.rate_kva for leg in legs]),
        branch_rate_a=np.array([leg.rate_a for leg in legs]).reshape(-1, 2),
        closed=np.array([leg.closed for leg in legs], dtype=bool),
        slack=np.array([at[bus] for bus in slacks.bus], dtype=np.int64),
        slack_vm_pu=slacks.vm_pu.to_numpy(float),
        fused=_fused(net, at),
        citation=citation,
        network=net,
    )


def star_ids(net: Any) -> np.ndarray:
    """Bus numbers given to the star points of three-winding transformers, after the last one in use."""
    return int(net.bus.index.max()) + 1 + np.arange(len(net.trafo3w), dtype=np.int64)


def branch_legs(net: Any) -> Iterator[Leg]:
    """Yield the branches in the order of pandapower's branch table: lines, transformers, legs, impedances."""
    for index, row in _rows(net.line):
        kv = net.bus.vn_kv.at[row["from_bus"]]
        amps = _rating(row.get("max_i_ka", np.nan) * row["df"] * row["parallel"] * 1e3)
        ends = (int(row["from_bus"]), int(row["to_bus"]))
        yield Leg("line", index, "", ends, amps * kv * np.sqrt(3), (amps, amps), _closed(net, "line", index, row))
    for index, row in _rows(net.trafo):
        kva = _rating(row["sn_mva"] * row["parallel"] * row.get("df", 1.0) * 1e3)
        amps_hv, amps_lv = (kva / (np.sqrt(3) * row[key]) for key in ("vn_hv_kv", "vn_lv_kv"))
        ends = (int(row["hv_bus"]), int(row["lv_bus"]))
        yield Leg("trafo", index, "", ends, kva, (amps_hv, amps_lv), _closed(net, "trafo", index, row))
    for side in ("hv", "mv", "lv"):
        for star, (index, row) in zip(star_ids(net).tolist(), _rows(net.trafo3w), strict=True):
            kva = _rating(row[f"sn_{side}_mva"] * 1e3)
            amps, bus = kva / (np.sqrt(3) * row[f"vn_{side}_kv"]), int(row[f"{side}_bus"])
            ends, rate_a = ((bus, star), (amps, np.inf)) if side == "hv" else ((star, bus), (np.inf, amps))
            yield Leg("trafo3w", index, side, ends, kva, rate_a, _closed(net, "trafo3w", index, row, bus))
    for index, row in _rows(net.impedance):
        ends = (int(row["from_bus"]), int(row["to_bus"]))
        closed = _closed(net, "impedance", index, row)
        yield Leg("impedance", index, "", ends, np.inf, (np.inf, np.inf), closed)


def leg_switches(net: Any, table: str, index: int, bus: int | None = None) -> np.ndarray:
    """Mark the switches (switch,) in series with a branch, or only those at one of its buses."""
    mask = (net.switch.et == SWITCH_CODE.get(table, "")) & (net.switch.element == index)
    if bus is not None:
        mask &= net.switch.bus == bus
    return np.asarray(mask, dtype=bool)


def _rows(table: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield index and cells of each row of a table."""
    return zip(table.index.tolist(), table.to_dict("records"), strict=True)


def _rating(value: float) -> float:
    """Return a rating, inf where there is none."""
    return float(value) if np.isfinite(value) and value > 0 else float(np.inf)


def _closed(net: Any, table: str, index: int, row: dict[str, Any], bus: int | None = None) -> bool:
    """Say whether a branch is in service, between buses in service, with no open switch."""
    switches = leg_switches(net, table, index, bus)
    buses = [row[key] for key in ("from_bus", "to_bus", "hv_bus", "lv_bus") if key in row] if bus is None else [bus]
    return (
        bool(row["in_service"])
        and bool(net.bus.in_service.loc[buses].all())
        and bool(net.switch.closed.to_numpy(bool)[switches].all())
    )


def _base_injections(net: Any, at: dict[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Sum loads, static generators and storages per bus, in kW and kvar into the grid (B,), (B,)."""
    total = np.zeros((2, len(at)))
    for table, sign in INJECTIONS.items():
        rows = net[table]
        positions = [at[bus] for bus in rows.bus]
        scale = sign * 1e3 * rows.scaling.to_numpy(float) * rows.in_service.to_numpy(bool)
        np.add.at(total[0], positions, scale * rows.p_mw.to_numpy(float))
        np.add.at(total[1], positions, scale * rows.q_mvar.to_numpy(float))
    return total[0], total[1]


def _fused(net: Any, at: dict[int, int]) -> np.ndarray:
    """Position of the first bus joined with each bus by closed bus-bus switches (B,)."""
    joins = net.switch[(net.switch.et == "b") & net.switch.closed.astype(bool)]
    ends = [np.array([at[bus] for bus in column], dtype=np.int64) for column in (joins.bus, joins.element)]
    labels = component_labels(len(at), ends[0], ends[1])
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)
