"""The scenario file: every field one sentence and a unit; all its faults are listed at once."""

import tomllib
from collections.abc import Iterator
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, model_validator

from cosim.experiments.scenario_faults import FaultsSection
from cosim.experiments.scenario_fields import Charge, Name, Price, Real, Section, Text, Whole, Zone, aware, moment
from cosim.experiments.scenario_grid import (
    Grid,
    InverterSection,
    NegotiationSection,
    OperatorSection,
    ReconfigurationSection,
)
from cosim.experiments.scenario_people import People
from cosim.experiments.scenario_plugins import PluginsSection
from cosim.models.errors import BadInputError, Fault, did_you_mean
from cosim.models.faults import first_faults
from cosim.models.paths import read_text
from cosim.models.series_grid import Fill
from cosim.models.table_file import shown

LARGEST_FILE = 2**20


class Time(Section):
    """When the run begins, how long it takes, and its grid."""

    start: Annotated[datetime, BeforeValidator(moment), AfterValidator(aware)] = Field(
        description="first moment, with its offset from UTC"
    )
    days: Annotated[Whole, Field(ge=1, le=366)] = Field(7, description="length of the run in days of 24 hours")
    interval_s: Literal[300, 900, 1800, 3600] = Field(900, description="length of an interval in seconds")
    zone: Zone = Field("Europe/Berlin", description="time zone of people and tariffs")


class TariffBand(Section):
    """A retail price from a time of day on."""

    start: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):(00|15|30|45)$")] = Field(
        description="time of day HH:MM, on a quarter-hour"
    )
    eur_per_kwh: Price = Field(description="supplier's energy price in EUR/kWh")


class TariffSection(Section):
    """What the supplier and the network charge."""

    kind: Name = Field("time_of_use", description="price bands by the clock, day-ahead plus markup, or other prices")
    bands: tuple[TariffBand, ...] = Field((), description="bands of a time-of-use tariff, in order")
    markup_eur_per_kwh: Price = Field(0.12, description="what a dynamic tariff adds to the day-ahead price, in EUR/kWh")
    feed_in_eur_per_kwh: Price = Field(0.07, description="what the supplier pays, in EUR/kWh")
    network_charge_eur_per_kwh: Charge = Field(
        0.08, description="what the operator charges on metered import, in EUR/kWh"
    )

    @model_validator(mode="after")
    def _bands_needed(self) -> Self:
        if self.kind != "time_of_use":
            return self
        if not self.bands:
            raise ValueError("a time_of_use tariff needs at least one entry in bands")
        starts = [band.start for band in self.bands]
        if starts != sorted(set(starts)):
            raise ValueError("bands must stand in the order of their starts, each start once")
        return self


class ProfileFile(Section):
    """A file of series of the person's own, CSV or Parquet."""

    file: Name = Field(description="CSV or Parquet file beside the scenario")
    time: Name = Field("time", description="column with the time at which each row begins")
    zone: Zone | None = Field(
        None, description="time zone of times without an offset; without it every time needs its offset"
    )
    step_s: Literal[300, 600, 900, 1800, 3600] = Field(900, description="distance of its rows in seconds")
    fill: Fill = Field(
        "none", description="what stands in for missing rows and empty cells: nothing, the last value, a line, or zero"
    )
    unit: Literal["per_rating", "kW"] = Field(
        "per_rating", description="what a value is: kW per kW of the customer's rating, or kW as it is"
    )
    columns: dict[Name, Name] = Field(
        default_factory=dict, description="columns by the name that profiles get; all under their own names if empty"
    )


class ProfilesSection(Section):
    """Series of the person's own beside the bundled ones; the table of customers names them like those."""

    files: tuple[ProfileFile, ...] = Field((), description="files with series")
    price: Name | None = Field(None, description="profile with the day-ahead price; the bundled price if absent")
    price_unit: Literal["EUR/MWh", "EUR/kWh"] = Field("EUR/MWh", description="unit of that profile")


class Market(Section):
    """The marketplace and its gate."""

    mechanism: Name = Field("uniform_price", description="how orders are matched")
    fee_eur_per_kwh: Charge = Field(0.002, description="market fee of each side, in EUR/kWh")
    gate_lead_intervals: Annotated[Whole, Field(ge=0, le=8)] = Field(
        1, description="intervals between gate closure and delivery"
    )
    losses: Literal["operator", "marginal"] = Field(
        "operator",
        description="who bears losses: the operator, or also who trades, by what a kWh more at its connection adds",
    )
    partners: Name | None = Field(
        None,
        description="who may trade with whom in bilateral trading: a CSV beside the scenario, "
        "or neighbours on the feeder (`neighbours`); anybody with anybody if absent",
    )
    partner_count: Annotated[Whole, Field(ge=1, le=1000)] = Field(
        4, description="how many of the electrically nearest are partners, with `neighbours`"
    )
    partner_distance_eur_per_kwh: Charge = Field(
        0.0,
        description="what a kWh of a partner at the mean electrical distance of all pairs is worth less to a buyer "
        "than one of a partner next door, with `neighbours`, in EUR/kWh",
    )
    record_orders: Annotated[bool, Field(strict=True)] = Field(
        False, description="keep every order that reaches the marketplace, in the table `orders`"
    )


class Forecast(Section):
    """How well the future is known."""

    kind: Name = Field("noisy", description="forecaster")
    share: Annotated[Real, Field(ge=0, le=10)] = Field(
        0.5, description="error of the noisy forecaster as a share of the data's own spread"
    )


class Scenario(Section):
    """A complete description of a run, but for its seed's draws."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] = Field(
        description="name and version, as in village-v1"
    )
    title: Text = Field("", description="one line for the gallery")
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = Field(1, description="seed of all chance")
    time: Time
    grid: Grid
    people: People
    tariff: TariffSection
    market: Market = Market()
    operator: OperatorSection = OperatorSection()
    forecast: Forecast = Forecast()
    negotiation: NegotiationSection = NegotiationSection()
    reconfiguration: ReconfigurationSection = ReconfigurationSection()
    inverter: InverterSection = InverterSection()
    profiles: ProfilesSection = ProfilesSection()
    faults: FaultsSection = FaultsSection()
    plugins: PluginsSection = PluginsSection()

    @classmethod
    def load(cls, name: str, *, overrides: dict[str, Any] | None = None) -> tuple[Self, Path]:
        """Read a bundled scenario by name or a TOML file by path; return it and the folder its files are relative to.

        `overrides` are dotted keys with values. Raises BadInputError with every fault of the file.
        """
        path = _path(name)
        text = read_text(path, file=path.name, largest_bytes=LARGEST_FILE)
        try:
            raw = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadInputError.one(path.name, "file", None, f"cannot be read as TOML: {error}") from error
        for key, value in (overrides or {}).items():
            _override(raw, key, value)
        return cls.checked(raw, path.name), path.parent

    @classmethod
    def checked(cls, raw: dict[str, Any], file: str) -> Self:
        """Return the scenario of some nested dicts; BadInputError lists every fault."""
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise BadInputError(first_faults(_faults(cls, error, file), file)) from None


def bundled_scenarios() -> list[str]:
    """List the scenarios that come with the package."""
    return sorted(item.name.removesuffix(".toml") for item in _folder().iterdir() if item.name.endswith(".toml"))


def bundled_tables() -> dict[str, Path]:
    """Return the tables of customers that come with the package, by file name."""
    return {item.name: item for item in sorted(_folder().iterdir()) if item.name.endswith(".csv")}


def _folder() -> Path:
    return Path(str(files("cosim.experiments"))) / "scenarios"


def _path(name: str) -> Path:
    if name in bundled_scenarios():
        return _folder() / f"{name}.toml"
    path = Path(name)
    inside = path / f"{path.name}.toml"
    if inside.is_file():
        raise BadInputError.one("command line", "SCENARIO", repr(shown(name)), f"a folder; did you mean '{inside}'?")
    if path.suffix == ".toml":
        if path.is_file():
            return path
        raise BadInputError.one("command line", "SCENARIO", repr(shown(name, 200)), "no such file")
    raise BadInputError.one("command line", "SCENARIO", repr(shown(name)), did_you_mean(name, bundled_scenarios()))


def _override(raw: dict[str, Any], key: str, value: Any) -> None:
    table = raw
    *path, last = key.split(".")
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise BadInputError.one("command line", f"--set {key}", value, f"{part} is not a table")
    table[last] = value


def _faults(model: type[BaseModel], error: ValidationError, file: str) -> Iterator[Fault]:
    for item in error.errors():
        key = ".".join(shown(str(part)) for part in item["loc"]) or "file"
        value = item["input"]
        if item["type"] == "extra_forbidden":
            known = _fields(model, item["loc"][:-1])
            yield Fault(file, key, "", f"unknown key; {did_you_mean(shown(str(item['loc'][-1])), known)}")
        elif item["type"] == "missing":
            yield Fault(file, key, "", "is missing")
        elif item["type"] in {"model_type", "model_attributes_type"}:
            yield Fault(file, key, _as_written(value), "allowed is a table of its own")
        else:
            found = "" if isinstance(value, dict | BaseModel) else _as_written(value)
            yield Fault(file, key, found, item["msg"].removeprefix("Value error, "))


def _as_written(value: object) -> str:
    """Return a value of a file for a message, a moment as TOML writes it."""
    return value.isoformat() if isinstance(value, date) else shown(repr(value))


def _fields(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the section that a path leads to, through lists of sections, too."""
    for part in path:
        if isinstance(part, str) and part in model.model_fields:
            kind = model.model_fields[part].annotation
            inner = [kind, *get_args(kind)]
            model = next((one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)), model)
    return list(model.model_fields)
