"""The scenario file: every field one sentence and a unit; all its faults are listed at once."""

import tomllib
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from cosim.models.errors import BadInputError, Fault, did_you_mean


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("allowed is a name of the IANA time zone database, such as Europe/Berlin") from error
    return name


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("the moment needs an offset, such as 2016-06-20T00:00:00+01:00")
    return moment


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Section(BaseModel):
    """A table of the scenario file; unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Time(Section):
    """When the run begins, how long it takes, and its grid."""

    start: Annotated[datetime, AfterValidator(_aware)] = Field(description="first moment, with its offset from UTC")
    days: Annotated[int, Field(ge=1, le=366)] = Field(7, description="length of the run in days of 24 hours")
    interval_s: Literal[300, 900, 1800, 3600] = Field(900, description="length of an interval in seconds")
    zone: Annotated[str, AfterValidator(_zone)] = Field("Europe/Berlin", description="time zone of people and tariffs")


class Grid(Section):
    """The feeder and what the operator accepts on it."""

    network: str = Field(description="bundled network, pandapower:NAME, or a JSON file beside the scenario")
    slack_vm_pu: Annotated[float, Field(ge=0.8, le=1.2)] | None = Field(
        None, description="slack voltage in pu; the network's own if absent"
    )
    vm_min_pu: Annotated[float, Field(ge=0.5, le=1.0)] = Field(0.95, description="lowest accepted voltage in pu")
    vm_max_pu: Annotated[float, Field(ge=1.0, le=1.5)] = Field(1.05, description="highest accepted voltage in pu")
    loading_percent: Positive = Field(100.0, description="highest accepted branch loading in percent of its rating")


class People(Section):
    """Who lives there, and with which devices."""

    table: str = Field(description="CSV of customers, bundled or beside the scenario")
    only: tuple[str, ...] = Field((), description="ids of the prosumers that take part; all if empty")
    strategy: str = Field("predictive", description="strategy of everybody not named in `strategies`")
    strategies: dict[str, str] = Field(default_factory=dict, description="strategy by prosumer id")
    load_scale: NotNegative = Field(1.0, description="factor on demand")
    pv_scale: NotNegative = Field(1.0, description="factor on photovoltaic ratings")
    wind_scale: NotNegative = Field(1.0, description="factor on wind ratings")
    battery_scale: NotNegative = Field(1.0, description="factor on battery power and capacity")
    heat_pump_scale: NotNegative = Field(1.0, description="factor on heat pump ratings")
    cars_per_kw: NotNegative = Field(0.0, description="cars per kW of residential peak demand")
    car_kw: Positive = Field(7.4, description="charging power of a car in kW")
    battery_efficiency: Annotated[float, Field(gt=0, le=1)] = Field(
        0.95, description="efficiency of charging, and of discharging"
    )
    battery_soc_min: Share = Field(0.1, description="lowest state of charge as a share of capacity")
    battery_soc_max: Share = Field(0.95, description="highest state of charge as a share of capacity")
    battery_wear_eur_per_kwh: NotNegative = Field(0.005, description="cost of each kWh charged or discharged in EUR")
    shiftable_share: Share = Field(0.1, description="share of demand that can wait")
    shiftable_delay_h: NotNegative = Field(2.0, description="how long it can wait in hours")
    heat_pump_store_h: NotNegative = Field(2.0, description="size of the heat buffer in hours of rated power")

    @model_validator(mode="after")
    def _soc_band(self) -> Self:
        if self.battery_soc_min >= self.battery_soc_max:
            raise ValueError("battery_soc_min must be below battery_soc_max")
        return self


class TariffBand(Section):
    """A retail price from a time of day on."""

    start: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):(00|15|30|45)$")] = Field(
        description="time of day HH:MM, on a quarter-hour"
    )
    eur_per_kwh: Number = Field(description="supplier's energy price in EUR/kWh")


class TariffSection(Section):
    """What the supplier and the network charge."""

    kind: Literal["time_of_use", "dynamic"] = Field(
        "time_of_use", description="price bands by the clock, or day-ahead plus markup"
    )
    bands: tuple[TariffBand, ...] = Field((), description="bands of a time-of-use tariff, in order")
    markup_eur_per_kwh: Number = Field(
        0.12, description="what a dynamic tariff adds to the day-ahead price, in EUR/kWh"
    )
    feed_in_eur_per_kwh: Number = Field(0.07, description="what the supplier pays, in EUR/kWh")
    network_charge_eur_per_kwh: NotNegative = Field(
        0.08, description="what the operator charges on metered import, in EUR/kWh"
    )

    @model_validator(mode="after")
    def _bands_needed(self) -> Self:
        if self.kind == "time_of_use" and not self.bands:
            raise ValueError("a time_of_use tariff needs at least one entry in bands")
        return self


class Market(Section):
    """The marketplace and its gate."""

    mechanism: str = Field("uniform_price", description="how orders are matched")
    fee_eur_per_kwh: NotNegative = Field(0.002, description="market fee of each side, in EUR/kWh")
    gate_lead_intervals: Annotated[int, Field(ge=0, le=8)] = Field(
        1, description="intervals between gate closure and delivery"
    )


class OperatorSection(Section):
    """What the operator does."""

    envelopes: str = Field("fair", description="envelope policy")
    curtailment: str = Field("pro_rata", description="rule for plans that the grid does not carry")
    tighten_rounds: Annotated[int, Field(ge=0, le=3)] = Field(
        2, description="rounds of tightening before the rule acts"
    )


class Forecast(Section):
    """How well the future is known."""

    kind: str = Field("noisy", description="forecaster")
    share: NotNegative = Field(0.5, description="error of the noisy forecaster as a share of the data's own spread")


class Scenario(Section):
    """A complete description of a run, but for its seed's draws."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] = Field(
        description="name and version, as in village-v1"
    )
    title: str = Field("", description="one line for the gallery")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(1, description="seed of all chance")
    time: Time
    grid: Grid
    people: People
    tariff: TariffSection
    market: Market = Market()
    operator: OperatorSection = OperatorSection()
    forecast: Forecast = Forecast()

    @classmethod
    def load(cls, name: str, *, overrides: dict[str, Any] | None = None) -> tuple[Self, Path]:
        """Read a bundled scenario by name or a TOML file by path; return it and the folder its files are relative to.

        `overrides` are dotted keys with values. Raises BadInputError with every fault of the file.
        """
        path = _path(name)
        try:
            text = path.read_text(encoding="utf-8")
            raw = tomllib.loads(text)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadInputError.one(str(path), "file", None, f"cannot be read as TOML: {error}") from error
        for key, value in (overrides or {}).items():
            _override(raw, key, value)
        return cls.checked(raw, path.name), path.parent

    @classmethod
    def checked(cls, raw: dict[str, Any], file: str) -> Self:
        """Return the scenario of some nested dicts; BadInputError lists every fault."""
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise BadInputError(_faults(cls, error, file)) from None


def bundled_scenarios() -> list[str]:
    """List the scenarios that come with the package."""
    return sorted(item.name.removesuffix(".toml") for item in _folder().iterdir() if item.name.endswith(".toml"))


def _folder() -> Path:
    return Path(str(files("cosim.experiments"))) / "scenarios"


def _path(name: str) -> Path:
    if name in bundled_scenarios():
        return _folder() / f"{name}.toml"
    path = Path(name)
    if path.suffix == ".toml":
        if path.is_file():
            return path
        raise BadInputError.one("command line", "SCENARIO", name, "no such file")
    raise BadInputError.one("command line", "SCENARIO", repr(name), did_you_mean(name, bundled_scenarios()))


def _override(raw: dict[str, Any], key: str, value: Any) -> None:
    table = raw
    *path, last = key.split(".")
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise BadInputError.one("command line", f"--set {key}", value, f"{part} is not a table")
    table[last] = value


def _faults(model: type[BaseModel], error: ValidationError, file: str) -> list[Fault]:
    found = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or "file"
        if item["type"] == "extra_forbidden":
            known = _fields(model, item["loc"][:-1])
            found.append(Fault(file, key, "", f"unknown key; {did_you_mean(str(item['loc'][-1]), known)}"))
        elif item["type"] == "missing":
            found.append(Fault(file, key, "", "is missing"))
        else:
            value = item["input"]
            shown = repr(value) if not isinstance(value, dict) else ""
            found.append(Fault(file, key, shown, item["msg"].removeprefix("Value error, ")))
    return found


def _fields(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        inner = (
            model.model_fields[str(part)].annotation if isinstance(part, str) and part in model.model_fields else None
        )
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return list(model.model_fields)
