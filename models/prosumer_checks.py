"""What can be wrong with the rows of a prosumer table, told without knowing the network or the profiles."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from cosim.models.errors import Fault, did_you_mean
from cosim.models.table_file import number, repeated, shown

KINDS: Final = ("residential", "commercial", "farm", "industrial", "public")
ROLES: Final = ("prosumer", "passive")
# Ids stand in file names, reports and --strategy ID=NAME.
ID: Final = re.compile(r"[^\W_][\w \-:/#+()]{0,63}")
ID_ALLOWED: Final = "allowed are 1 to 64 letters, digits, spaces and - _ : / # + ( ), a letter or digit first"
LARGEST: Final = 1e6
LARGEST_BUS: Final = 2**31
RATINGS: Final = {
    "p_peak_kw": "kW",
    "q_peak_kvar": "kvar",
    "pv_kwp": "kW",
    "wind_kw": "kW",
    "bess_kw": "kW",
    "bess_kwh": "kWh",
    "ev_kw": "kW",
    "hp_kw": "kW",
}
RATED_BY: Final = {
    "load_profile": "p_peak_kw",
    "pv_profile": "pv_kwp",
    "wind_profile": "wind_kw",
    "ev_profile": "ev_kw",
    "hp_profile": "hp_kw",
}
BATTERY_HOURS: Final = (0.05, 200.0)
MOST_KVAR_PER_KW: Final = 5.0

Row = Mapping[str, str]


def row_ids(rows: Sequence[Row]) -> list[str]:
    """Return the id of each customer; without one they are named by their bus."""
    return [row.get("id") or f"customer-{row['bus']}" for row in rows]


def row_faults(file: str, lines: Sequence[int], rows: Sequence[Row]) -> Iterator[Fault]:
    """Yield the faults of rows of text, with the line of the file that each stands on."""
    ids = row_ids(rows)
    again = set(repeated(ids))
    for place, (line, row) in enumerate(zip(lines, rows, strict=True)):
        if place in again:
            yield Fault(file, f"line {line} id", repr(shown(ids[place])), "allowed are ids that occur once")
        for key, value, allowed in chain(_who(row), _numbers(row), _profiles(row), _units(row)):
            yield Fault(file, f"line {line} {key}", value, allowed)


Found = tuple[str, str, str]


def _who(row: Row) -> Iterator[Found]:
    name, role, kind = row.get("id", ""), row.get("role") or "prosumer", row["kind"]
    if name and not ID.fullmatch(name):
        yield "id", repr(shown(name)), ID_ALLOWED
    if role not in ROLES:
        yield "role", repr(shown(role)), "allowed are prosumer and passive"
    if kind not in KINDS:
        yield "kind", repr(shown(kind)), did_you_mean(kind, KINDS)
    bus = number(row["bus"])
    if not (bus.is_integer() and 0 <= bus < LARGEST_BUS):
        yield "bus", repr(shown(row["bus"])), "allowed are the network's bus numbers, whole and not negative"


def _numbers(row: Row) -> Iterator[Found]:
    for column, unit in RATINGS.items():
        text = row.get(column, "")
        if column in row and not 0.0 <= number(text or "0") <= LARGEST:
            yield column, repr(shown(text)), f"allowed is 0 to {LARGEST:,.0f} {unit}, with a decimal point"
    peak = row.get("profile_peak_pu", "")
    if peak and not 1e-6 <= number(peak) <= LARGEST:
        yield "profile_peak_pu", repr(shown(peak)), "allowed is a number greater than 0, or nothing"
    if not row["p_peak_kw"]:
        yield "p_peak_kw", "empty", "is needed; 0 where there is no demand"


def _profiles(row: Row) -> Iterator[Found]:
    """Yield ratings that have no profile."""
    for profile, rating in RATED_BY.items():
        value = number(row.get(rating) or "0")
        if value > 0 and not row.get(profile):
            yield profile, "empty", f"is needed where {rating} is {value:g}"


def _units(row: Row) -> Iterator[Found]:
    """Yield pairs of ratings that only a wrong unit explains."""
    load, reactive, power, energy = (
        number(row.get(column) or "0") for column in ("p_peak_kw", "q_peak_kvar", "bess_kw", "bess_kwh")
    )
    if reactive > MOST_KVAR_PER_KW * load:
        allowed = f"allowed is up to {MOST_KVAR_PER_KW:g} kvar per kW of p_peak_kw ({load:g}); is it in var?"
        yield "q_peak_kvar", f"{reactive:g}", allowed
    if (power > 0) != (energy > 0):
        yield "bess_kwh", f"{energy:g}", f"a battery needs power and capacity; bess_kw is {power:g}"
    elif power > 0 and not BATTERY_HOURS[0] <= energy / power <= BATTERY_HOURS[1]:
        allowed = f"allowed are {BATTERY_HOURS[0]:g} to {BATTERY_HOURS[1]:g} hours of bess_kw ({power:g}); is it in Wh?"
        yield "bess_kwh", f"{energy:g}", allowed
