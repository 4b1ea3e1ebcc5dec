"""What can be wrong with the tables of a pandapower network, which pandapower lets pass or dies of without a word."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from cosim.models.errors import Fault

REFUSED: Final = (
    *("gen", "dcline", "ward", "xward", "motor", "asymmetric_load", "asymmetric_sgen"),
    *("tcsc", "svc", "ssc", "vsc", "bus_dc", "line_dc"),
)
INJECTIONS: Final = {"load": -1.0, "sgen": 1.0, "storage": -1.0}
BRANCH_TABLES: Final = ("line", "trafo", "trafo3w", "impedance")
NEEDED: Final = {
    **dict.fromkeys(INJECTIONS, ("p_mw", "q_mvar", "scaling")),
    "trafo3w": tuple(
        f"{what}_{side}_{unit}" for side in ("hv", "mv", "lv") for what, unit in (("sn", "mva"), ("vn", "kv"))
    ),
    "switch": ("et", "element"),
}
# pandapower knows these only in newer files, or has defaults for them.
OPTIONAL: Final = frozenset({"df", "c_nf_per_km", "parallel"})
LARGEST_MW: Final = 1e4
# Lowest and highest value, and whether the lowest is allowed itself; ratings may be empty.
RANGES: Final = {
    "bus": {"vn_kv": (0.0, 1500.0, False, "must be above 0 and up to 1500 kV; is it in V?")},
    "ext_grid": {"vm_pu": (0.5, 1.5, True, "allowed is 0.5 to 1.5 pu")},
    "line": {
        "length_km": (0.0, 1000.0, False, "must be above 0 and up to 1000 km; is it in m?"),
        "r_ohm_per_km": (0.0, 1000.0, True, "must not be negative, up to 1000 ohm per km"),
        "x_ohm_per_km": (-1000.0, 1000.0, True, "allowed is up to 1000 ohm per km"),
        "c_nf_per_km": (0.0, 1e5, True, "must not be negative, up to 100,000 nF per km"),
        "parallel": (0.0, 100.0, False, "must be above 0, up to 100"),
        "df": (0.0, 1.0, False, "allowed is above 0 and up to 1"),
    },
    "trafo": {
        "sn_mva": (0.0, 5000.0, False, "must be above 0 and up to 5000 MVA; is it in kVA?"),
        "vn_hv_kv": (0.0, 1500.0, False, "must be above 0 and up to 1500 kV; is it in V?"),
        "vn_lv_kv": (0.0, 1500.0, False, "must be above 0 and up to 1500 kV; is it in V?"),
        "vk_percent": (0.0, 100.0, False, "must be above 0 and up to 100 percent"),
        "vkr_percent": (0.0, 100.0, True, "must not be negative, up to 100 percent"),
        "parallel": (0.0, 100.0, False, "must be above 0, up to 100"),
    },
}
MOST_KA: Final = 50.0
MOST_LINE_RATIO: Final = 1.5
REFERENCES: Final = {
    "bus": (),
    "load": ("bus",),
    "sgen": ("bus",),
    "storage": ("bus",),
    "shunt": ("bus",),
    "ext_grid": ("bus",),
    "switch": ("bus",),
    "line": ("from_bus", "to_bus"),
    "impedance": ("from_bus", "to_bus"),
    "trafo": ("hv_bus", "lv_bus"),
    "trafo3w": ("hv_bus", "mv_bus", "lv_bus"),
}
SWITCHED: Final = {"b": "bus", "l": "line", "t": "trafo", "t3": "trafo3w"}
FLAGS: Final = {**dict.fromkeys(REFERENCES, ("in_service",)), "switch": ("closed",)}


def network_faults(net: Any, name: str) -> Iterator[Fault]:
    """Yield every fault of a pandapower network; first whether its tables have the columns to look at."""
    if missing := list(_column_faults(net, name)):
        yield from missing
        return
    if not len(net.bus):
        yield Fault(name, "bus", "0 rows", "at least one bus is needed")
    for table in REFUSED:
        if table in net and len(net[table]):
            yield Fault(name, table, f"{len(net[table])} rows", "only elements with a fixed injection are known")
    yield from _flag_faults(net, name)
    for table in ("bus", "ext_grid", "switch", *INJECTIONS, *BRANCH_TABLES):
        for index in net[table].index[net[table].index.duplicated()].unique():
            yield Fault(name, f"{table} index", str(index), "must be unique")
    yield from _reference_faults(net, name)
    yield from _range_faults(net, name)
    yield from _voltage_faults(net, name)
    yield from _injection_faults(net, name)


def _column_faults(net: Any, name: str) -> Iterator[Fault]:
    """Yield columns that a table lacks."""
    for table, columns in REFERENCES.items():
        needed = {*columns, *FLAGS[table], *RANGES.get(table, {}), *NEEDED.get(table, ())} - OPTIONAL
        for column in sorted(needed - set(net[table].columns)):
            yield Fault(name, table, "", f"column {column} is missing")


def _flag_faults(net: Any, name: str) -> Iterator[Fault]:
    """Yield flags that are not true or false, and the lack of a connection upstream."""
    broken = set()
    for table, flags in FLAGS.items():
        for flag in flags:
            column = net[table][flag]
            wrong = [
                index
                for index, value in column.items()
                if not isinstance(value, bool | np.bool_) and value not in (0, 1)
            ]
            broken |= {table} if wrong else set()
            for index in wrong:
                yield Fault(name, f"{table} {index} {flag}", repr(column[index]), "must be true or false")
    if "ext_grid" not in broken and not net.ext_grid.in_service.astype(bool).any():
        yield Fault(name, "ext_grid", "", "at least one connection upstream must be in service")


def _reference_faults(net: Any, name: str) -> Iterator[Fault]:
    """Yield rows that stand at elements that do not exist, and branches from a bus to itself."""
    for table, columns in REFERENCES.items():
        for column in columns:
            known = net[table][column].isin(net.bus.index)
            for index, bus in net[table][column][~known].items():
                yield Fault(name, f"{table} {index} {column}", str(bus), "no such bus")
        if len(columns) == 2:
            same = net[table][columns[0]] == net[table][columns[1]]
            for index in net[table].index[same]:
                yield Fault(name, f"{table} {index}", "", "starts and ends at the same bus")
    for index, row in zip(net.switch.index, net.switch.to_dict("records"), strict=True):
        switched = SWITCHED.get(row["et"])
        if switched is None:
            yield Fault(name, f"switch {index} et", repr(row["et"]), f"allowed are {', '.join(SWITCHED)}")
        elif row["element"] not in net[switched].index:
            yield Fault(name, f"switch {index} element", str(row["element"]), f"no such {switched}")


def _range_faults(net: Any, name: str) -> Iterator[Fault]:
    """Yield data of buses, lines and transformers out of range."""
    for table, ranges in RANGES.items():
        for column, (low, high, low_allowed, allowed) in ranges.items():
            if column not in net[table] or (column == "df" and net[table][column].isna().all()):
                continue
            values = _numbers(net[table][column])
            good = (values >= low if low_allowed else values > low) & (values <= high)
            for place in np.flatnonzero(~good):
                yield Fault(name, f"{table} {net[table].index[place]} {column}", f"{values[place]:g}", allowed)
    if "max_i_ka" in net.line:
        values = _numbers(net.line.max_i_ka)
        for place in np.flatnonzero((values < 0) | (values > MOST_KA) & (values < 9e4)):
            allowed = f"allowed is up to {MOST_KA:g} kA (99999 for none); is it in A?"
            yield Fault(name, f"line {net.line.index[place]} max_i_ka", f"{values[place]:g}", allowed)


def _voltage_faults(net: Any, name: str) -> Iterator[Fault]:
    """Yield lines between buses of different voltage."""
    if not net.bus.index.is_unique:
        return
    ends = [net.line[column].map(net.bus.vn_kv).to_numpy(float) for column in ("from_bus", "to_bus")]
    for place in np.flatnonzero(np.maximum(*ends) > MOST_LINE_RATIO * np.minimum(*ends)):
        found = f"between {ends[0][place]:g} and {ends[1][place]:g} kV"
        yield Fault(name, f"line {net.line.index[place]}", found, "a line joins buses of one voltage")


def _injection_faults(net: Any, name: str) -> Iterator[Fault]:
    for table in INJECTIONS:
        columns = [_numbers(net[table][column]) for column in ("p_mw", "q_mvar", "scaling")]
        for index, *values in zip(net[table].index, *columns, strict=True):
            if not np.isfinite(values).all():
                yield Fault(name, f"{table} {index} power", "nan or inf", "must be finite")
            elif max(abs(value) for value in values) > LARGEST_MW:
                found = f"{values[0]:g} MW, {values[1]:g} Mvar, scaled by {values[2]:g}"
                yield Fault(name, f"{table} {index} power", found, f"allowed is up to {LARGEST_MW:g} MW; is it in kW?")


def _numbers(column: Any) -> np.ndarray:
    """Return a column as floats, NaN for what is no number."""
    try:
        return np.asarray(column, dtype=float)
    except (TypeError, ValueError):
        return np.array([float(value) if isinstance(value, int | float) else np.nan for value in column])
