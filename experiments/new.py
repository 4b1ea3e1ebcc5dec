"""`cosim new`: a scenario to edit, with every field explained in the words of its model, and a table of customers."""

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from cosim.experiments.plugins import registries
from cosim.experiments.scenario import ProfileFile, Scenario, TariffBand
from cosim.experiments.scenario_fields import Section
from cosim.experiments.scenario_grid import DrawnFeeders
from cosim.experiments.scenario_imitation import ImitationSection
from cosim.experiments.scenario_people import DrawnPeople
from cosim.models.errors import BadInputError, StorageError
from cosim.models.prosumer_table import MEANINGS

WIDTH: Final = 110
TABLE: Final = "prosumers.csv"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# What a scenario must say itself, said for a village that runs as it stands.
EXAMPLES: Final[dict[str, Any]] = {
    "title": "My village: a line for the gallery",
    "time.start": "2016-06-20T00:00:00+01:00",
    "time.days": 1,
    "grid.network": "ieee33_bw",
    "grid.drawn": {"feeders": 2, "buses": 100},
    "grid.slack_vm_pu": 1.01,
    "people.table": TABLE,
    "people.drawn": {"prosumers": 150, "pv_share": 0.4},
    "people.strategies": {"home-13": "passive"},
    "people.imitation": {"every_days": 1, "reviewing": 0.2, "intensity": 200.0, "mutation": 0.01},
    "tariff.bands": [{"start": "00:00", "eur_per_kwh": 0.2}, {"start": "16:00", "eur_per_kwh": 0.28}],
    "profiles.files": [{"file": "load.csv"}],
    "profiles.price": "price",
    "profiles.files.zone": "Europe/Berlin",
    "profiles.files.columns": {"bakery": "Bakery (kW)"},
}
# Examples of fields that are better left alone at first: they stand there as comments.
AS_COMMENT: Final = frozenset(
    {
        *("people.strategies", "people.imitation", "people.drawn", "grid.slack_vm_pu", "grid.drawn"),
        *("profiles.files", "profiles.price", "profiles.price_unit"),
    }
)
# What stands inside of fields that are no plain values.
INNER: Final[dict[str, type[Section]]] = {
    "profiles.files": ProfileFile,
    "tariff.bands": TariffBand,
    "grid.drawn": DrawnFeeders,
    "people.drawn": DrawnPeople,
    "people.imitation": ImitationSection,
}
# Fields that name a plug-in, and of which kind.
PLUGINS: Final = {
    "people.strategy": "strategy",
    "people.negotiation": "negotiation",
    "tariff.kind": "tariff",
    "market.mechanism": "mechanism",
    "operator.envelopes": "envelopes",
    "operator.curtailment": "curtailment",
    "forecast.kind": "forecaster",
}
CUSTOMERS: Final = """\
id,role,bus,kind,load_profile,p_peak_kw,q_peak_kvar,pv_profile,pv_kwp,wind_profile,wind_kw,bess_kw,bess_kwh,hp_profile,hp_kw,note
home-13,prosumer,13,residential,lv_rural1,60,35,PV1,120,,0,20,40,Soil_Alternative_1,12,sun and a battery
home-18,prosumer,18,residential,lv_rural2,90,40,PV2,90,,0,0,0,,0,sun only
home-33,prosumer,33,residential,lv_rural3,60,40,,0,,0,15,30,Air_Semi-Parallel_2,12,a battery and a heat pump
farm-22,prosumer,22,farm,L1-A,90,40,PV3,150,WP4,60,0,0,,0,sun and wind
shop-25,prosumer,25,commercial,mv_comm,210,100,PV4,80,,0,30,60,,0,draws by day
mill-30,passive,30,industrial,G1-A,150,60,,0,,0,0,0,,0,load without a market
"""
HEAD: Final = """\
# A scenario of cosim. Every field has its default here, unless it must be said; what you do not need may go.
# Run it with `cosim run {file}`, look at it with `cosim describe {file}`.
# Powers are in kW, energies in kWh, prices in EUR/kWh, voltages in pu of nominal.
"""


def new_scenario(name: str, parent: Path) -> list[Path]:
    """Write a folder `name` with NAME.toml and a table of customers; BadInputError if the name will not do."""
    if not NAME.fullmatch(name):
        allowed = "allowed are letters, digits, dots, - and _, up to 64, a letter or digit first"
        raise BadInputError.one("command line", "NAME", repr(name), allowed)
    folder = parent / name
    if folder.exists():
        raise BadInputError.one("command line", "NAME", repr(name), "such a file or folder exists already")
    paths = [folder / f"{name}.toml", folder / TABLE]
    try:
        folder.mkdir()
        for path, text in zip(paths, (scenario_text(name), CUSTOMERS), strict=True):
            path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}") from error
    return paths


def scenario_text(name: str) -> str:
    """Return the text of a commented scenario."""
    head = HEAD.format(file=f"{name}/{name}.toml")
    values = {"name": name}
    return "\n".join([head, *_fields(Scenario, "", values), *_tables(Scenario, "")]) + "\n"


def _tables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Yield each section with its fields, and the sections within it after them."""
    for field, info in model.model_fields.items():
        if section := _section(info):
            title = info.description or (section.__doc__ or "").splitlines()[0]
            yield f"\n{_comment(title)}\n[{prefix}{field}]"
            yield from _fields(section, f"{prefix}{field}.", {})
            yield from _tables(section, f"{prefix}{field}.")


def _section(info: FieldInfo) -> type[Section] | None:
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _fields(model: type[BaseModel], prefix: str, values: dict[str, Any]) -> Iterator[str]:
    """Yield each plain field: what it is, what is allowed, and its value."""
    for field, info in model.model_fields.items():
        if _section(info):
            continue
        key = f"{prefix}{field}"
        value = values.get(field, EXAMPLES.get(key, info.get_default(call_default_factory=True)))
        yield _comment(f"{info.description}{_allowed(info)}{_plugins(key)}")
        lines = _assignment(field, value)
        quiet = key in AS_COMMENT or value is None
        yield "\n".join(f"# {line}" if quiet else line for line in lines)
        if key == "people.table":
            yield "#   its columns:"
            yield from (_comment(f"{name}: {meaning}", "#     ") for name, meaning in MEANINGS.items())
        if key in INNER:
            yield "#   each entry:" if isinstance(value, list | tuple) else "#   inside of it:"
            yield from _inner(INNER[key], key)


def _plugins(key: str) -> str:
    """Say which plug-ins a field can name, in brackets; nothing where it names none."""
    if key not in PLUGINS:
        return ""
    names = registries()[PLUGINS[key]].names()
    return f" ({', '.join(json.dumps(name) for name in names)}, or your own: MODULE:CLASS)"


def _inner(model: type[BaseModel], key: str) -> Iterator[str]:
    """Yield what the entries of a list, or a table of its own, may hold, as comments."""
    for field, info in model.model_fields.items():
        default = info.get_default(call_default_factory=True)
        shown = EXAMPLES.get(f"{key}.{field}", None if default is PydanticUndefined else default)
        example = f"; such as {_toml(shown)}" if shown is not None else ""
        yield _comment(f"{field}: {info.description}{_allowed(info)}{example}", "#     ")


def _comment(text: str, lead: str = "# ") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=lead, subsequent_indent=lead, break_on_hyphens=False)


def _assignment(field: str, value: Any) -> list[str]:
    if isinstance(value, list):
        return [f"{field} = [", *(f"    {_toml(item)}," for item in value), "]"]
    return [f"{field} = {_toml(value)}"]


def _toml(value: Any) -> str:
    """Return a plain value as TOML; moments, the only texts that begin with a date, stand bare."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_toml(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def _allowed(info: FieldInfo) -> str:
    """Say the limits of a field, in brackets; nothing where there are none."""
    low = next((entry.ge for entry in info.metadata if hasattr(entry, "ge")), None)
    high = next((entry.le for entry in info.metadata if hasattr(entry, "le")), None)
    if low is not None and high is not None:
        return f" ({low:g} to {high:g})"
    choices = _choices(info.annotation)
    return f" ({', '.join(json.dumps(choice) for choice in choices)})" if choices else ""


def _choices(kind: Any) -> tuple[Any, ...]:
    if get_origin(kind) is Literal:
        return get_args(kind)
    inner = [one for one in get_args(kind) if one is not NoneType] if get_origin(kind) in {Union, UnionType} else []
    return _choices(inner[0]) if len(inner) == 1 else ()
