"""Reading a network file (JSON: buses, branches, slacks), with every fault in it found at once."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cosim.models.errors import BadInputError, Fault, did_you_mean
from cosim.models.faults import first_faults
from cosim.models.grid.graph import energised_nodes
from cosim.models.prosumer_checks import LARGEST_BUS
from cosim.models.table_file import shown

MAX_OVERLOAD = 1000.0  # a load this many times the ratings around it is a unit mistake (W for kW, kW for MW)
LARGEST_KV = 1500.0
LARGEST_OHM = 1e4
LARGEST_KW = 1e9
REQUIRED = {"base_kv", "slack_buses", "buses", "branches"}
OPTIONAL = {
    *("name", "source", "citation", "licence", "notes", "slack_vm_pu", "checks", "rate_mva"),
    *("original_bus_ids", "low_net_load", "low_net_load_check"),
}
BUS_KEYS = {"id": "a whole number", "p_kw": "a finite number", "q_kvar": "a finite number"}
BRANCH_KEYS = {
    **dict.fromkeys(("id", "from_bus", "to_bus"), "a whole number"),
    **dict.fromkeys(("r_ohm", "x_ohm"), "a finite number"),
}
BRANCH_OPTIONAL = {"normally_closed": "true or false", "kind": "a text", "rate_kva": "a finite number"}


@dataclass(frozen=True, slots=True)
class LineImpedances:
    """A network of nothing but series impedances: r and x of each branch in ohm (L,), (L,)."""

    r_ohm: np.ndarray
    x_ohm: np.ndarray


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """A checked network file as columns; injections already positive into the grid."""

    name: str
    citation: str
    base_kv: float
    slack_vm_pu: float
    bus_ids: np.ndarray
    load_kw: np.ndarray
    load_kvar: np.ndarray
    slack: np.ndarray
    branch_ids: tuple[str, ...]
    branch_kind: tuple[str, ...]
    branch_from: np.ndarray
    branch_to: np.ndarray
    r_ohm: np.ndarray
    x_ohm: np.ndarray
    rate_kva: np.ndarray
    closed: np.ndarray


def read_network(data: dict[str, Any], file: str) -> NetworkFile:
    """Read the object of a network file; BadInputError carries every fault, with `file` as its place."""
    for stage in ((_shape_faults,), (_value_faults, _reference_faults, _island_faults, _unit_faults)):
        found = (Fault(file, *item) for look in stage for item in look(data))
        if faults := first_faults(found, file):
            raise BadInputError(faults)
    return _columns(data, file)


Found = tuple[str, str, str]


def parse_json(text: str, file: str) -> dict[str, Any]:
    """Parse JSON into an object, or say why not."""
    try:
        data = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise BadInputError.one(file, "JSON", None, f"cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise BadInputError.one(file, "top level", type(data).__name__, "must be an object")
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object, refusing keys that stand in it twice: readers differ in which one counts."""
    data = dict(pairs)
    if len(data) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {shown(twice)!r} stands twice in one object")
    return data


def _shape_faults(data: dict[str, Any]) -> Iterator[Found]:
    """Yield missing, unknown and mistyped parts, so that the next stage can index freely."""
    for key in sorted(set(data) - REQUIRED - OPTIONAL):
        yield shown(key), "", "unknown key; " + did_you_mean(shown(key), REQUIRED | OPTIONAL)
    for key in sorted(REQUIRED - set(data)):
        yield key, "", "is missing"
    for key in ("slack_buses", "buses", "branches"):
        if key in data and (not isinstance(data[key], list) or not data[key]):
            yield key, "", "must be a list with at least one entry"
    for key in ("name", "citation"):
        text = data.get(key, "")
        if not isinstance(text, str) or not text.isprintable():
            yield key, shown(repr(text)), "must be a text on one line"
    yield from _row_faults(data.get("buses"), "buses", BUS_KEYS, {})
    yield from _row_faults(data.get("branches"), "branches", BRANCH_KEYS, BRANCH_OPTIONAL)


def _row_faults(rows: Any, table: str, keys: dict[str, str], optional: dict[str, str]) -> Iterator[Found]:
    """Yield what is wrong with the form of each row of a table."""
    known = keys | optional
    for place, row in enumerate(rows if isinstance(rows, list) else []):
        at = f"{table}[{place}]"
        if not isinstance(row, dict):
            yield at, "", "must be an object"
            continue
        for key in sorted(set(row) - set(known)):
            yield f"{at}.{shown(key)}", "", "unknown key; " + did_you_mean(shown(key), known)
        for key in [key for key in keys if key not in row]:
            yield f"{at}.{key}", "", "is missing"
        for key in [key for key in known if key in row and not _is_a(row[key], known[key])]:
            yield f"{at}.{key}", shown(repr(row[key])), f"must be {known[key]}"


def _value_faults(data: dict[str, Any]) -> Iterator[Found]:
    """Yield values out of range and repeated ids."""
    base_kv = data["base_kv"]
    if not (_is_number(base_kv) and base_kv > 0):
        yield "base_kv", shown(repr(base_kv)), "must be a number above 0"
    elif base_kv > LARGEST_KV:
        yield "base_kv", repr(base_kv), f"allowed is up to {LARGEST_KV:g} kV; is it in V?"
    slack_vm_pu = data.get("slack_vm_pu", 1.0)
    if not (_is_number(slack_vm_pu) and 0.5 <= slack_vm_pu <= 1.5):
        yield "slack_vm_pu", shown(repr(slack_vm_pu)), "allowed is 0.5 to 1.5"
    for table in ("buses", "branches"):
        for row_id, times in Counter(row["id"] for row in data[table]).items():
            if times > 1:
                yield f"{table} id", str(row_id), f"appears {times} times; ids must be unique"
    if _rates_kva(data) is None:
        yield "rate_mva", "", f"must be a list of {len(data['branches'])} numbers above 0, one a branch"
    for row in data["buses"]:
        yield from _bus_value_faults(row)
    for row in data["branches"]:
        yield from _branch_value_faults(row)


def _bus_value_faults(row: dict[str, Any]) -> Iterator[Found]:
    """Yield values of one bus that no bus has."""
    if not 0 <= row["id"] < LARGEST_BUS:
        yield "buses id", str(row["id"]), f"allowed are 0 to {LARGEST_BUS - 1}"
    if max(abs(row["p_kw"]), abs(row["q_kvar"])) > LARGEST_KW:
        yield f"bus {row['id']} load", f"{row['p_kw']:g} kW, {row['q_kvar']:g} kvar", f"allowed is up to {LARGEST_KW:g}"


def _branch_value_faults(row: dict[str, Any]) -> Iterator[Found]:
    """Yield values of one branch that no branch has."""
    at = f"branch {row['id']}"
    if row["r_ohm"] < 0:
        yield f"{at} r_ohm", str(row["r_ohm"]), "must not be negative"
    if max(abs(row["r_ohm"]), abs(row["x_ohm"])) > LARGEST_OHM:
        yield f"{at} r_ohm", str(row["r_ohm"]), f"allowed is up to {LARGEST_OHM:g} ohm; is it in milliohm?"
    if row["r_ohm"] == 0 and row["x_ohm"] == 0:
        yield f"{at} impedance", "0", "must not be zero; merge the two buses instead"
    if row.get("rate_kva", 1.0) <= 0:
        yield f"{at} rate_kva", str(row["rate_kva"]), "must be above 0; leave it out where unrated"
    if row["from_bus"] == row["to_bus"]:
        yield at, str(row["to_bus"]), "starts and ends at the same bus"


def _reference_faults(data: dict[str, Any]) -> Iterator[Found]:
    """Yield references to buses that do not exist."""
    buses = {row["id"] for row in data["buses"]}
    for row in data["branches"]:
        for key in ("from_bus", "to_bus"):
            if row[key] not in buses:
                yield f"branch {row['id']} {key}", str(row[key]), "no such bus"
    for bus in data["slack_buses"]:
        if not _is_whole(bus) or bus not in buses:
            yield "slack_buses", shown(repr(bus)), "no such bus"


def _island_faults(data: dict[str, Any]) -> Iterator[Found]:
    """Yield buses that no slack reaches; nothing where references are broken, which is a fault of its own."""
    if any(_reference_faults(data)):
        return
    position = {row["id"]: place for place, row in enumerate(data["buses"])}
    closed = [row for row in data["branches"] if row.get("normally_closed", True)]
    start, end = (np.array([position[row[key]] for row in closed], dtype=np.int64) for key in ("from_bus", "to_bus"))
    sources = np.array([position[bus] for bus in data["slack_buses"]])
    reached = energised_nodes(len(data["buses"]), start, end, sources)
    for bus, place in position.items():
        if not reached[place]:
            yield f"bus {bus}", "an island", "must reach a slack over normally closed branches"


def _unit_faults(data: dict[str, Any]) -> Iterator[Found]:
    """Yield loads that no unit but the wrong one explains."""
    around: defaultdict[int, float] = defaultdict(float)
    for row, rate in zip(data["branches"], _rates_kva(data) or [], strict=False):
        around[row["from_bus"]] += rate
        around[row["to_bus"]] += rate
    for row in data["buses"]:
        load_kva, rate = math.hypot(row["p_kw"], row["q_kvar"]), around[row["id"]]
        if 0 < MAX_OVERLOAD * rate < load_kva:
            allowed = f"over {MAX_OVERLOAD:g} times the {rate:g} kVA of its branches; are the units kW and kVA?"
            yield f"bus {row['id']} load", f"{load_kva:g} kVA", allowed


def _rates_kva(data: dict[str, Any]) -> list[float] | None:
    """Rating of each branch, from its row or from `rate_mva`, inf for none; None where `rate_mva` is bad."""
    count = len(data["branches"])
    rates = data.get("rate_mva", [math.inf] * count)
    if not isinstance(rates, list) or len(rates) != count:
        return None
    if "rate_mva" in data and not all(_is_number(rate) and rate > 0 for rate in rates):
        return None
    return [float(row.get("rate_kva", 1e3 * rate)) for row, rate in zip(data["branches"], rates, strict=True)]


def _columns(data: dict[str, Any], file: str) -> NetworkFile:
    """Turn checked data into columns."""
    buses, branches = data["buses"], data["branches"]
    position = {row["id"]: place for place, row in enumerate(buses)}
    return NetworkFile(
        name=str(data.get("name", file)),
        citation=str(data.get("citation", "")),
        base_kv=float(data["base_kv"]),
        slack_vm_pu=float(data.get("slack_vm_pu", 1.0)),
        bus_ids=np.array([row["id"] for row in buses], dtype=np.int64),
        load_kw=0.0 - np.array([row["p_kw"] for row in buses], dtype=float),
        load_kvar=0.0 - np.array([row["q_kvar"] for row in buses], dtype=float),
        slack=np.array([position[bus] for bus in dict.fromkeys(data["slack_buses"])], dtype=np.int64),
        branch_ids=tuple(str(row["id"]) for row in branches),
        branch_kind=tuple(row.get("kind", "line") for row in branches),
        branch_from=np.array([position[row["from_bus"]] for row in branches], dtype=np.int64),
        branch_to=np.array([position[row["to_bus"]] for row in branches], dtype=np.int64),
        r_ohm=np.array([row["r_ohm"] for row in branches], dtype=float),
        x_ohm=np.array([row["x_ohm"] for row in branches], dtype=float),
        rate_kva=np.array(_rates_kva(data), dtype=float),
        closed=np.array([row.get("normally_closed", True) for row in branches], dtype=bool),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62


def _is_a(value: object, kind: str) -> bool:
    """Say whether a value is of a kind of the tables above."""
    if kind == "a whole number":
        return _is_whole(value)
    if kind == "a finite number":
        return _is_number(value)
    return isinstance(value, bool if kind == "true or false" else str)
