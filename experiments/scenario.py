"""The scenario file: every field one sentence and a unit; all its faults are listed at once."""

import tomllib
from collections.abc import Iterator
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from cosim.models.errors import BadInputError, Fault, did_you_mean
from cosim.models.faults import first_faults
from cosim.models.paths import read_text
from cosim.models.series_grid import Fill
from cosim.models.table_file import repeated, shown

LARGEST_FILE = 2**20


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


def _moment(value: object) -> object:
    if not isinstance(value, datetime | str):
        raise ValueError("allowed is a date and time with an offset, such as 2016-06-20T00:00:00+01:00")  # noqa: TRY004, pydantic turns ValueError into a fault
    return value


def _plain_text(text: str) -> str:
    if not text.isprintable():
        raise ValueError("allowed is text on one line, without control characters")
    return text


Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]
Text = Annotated[str, Field(max_length=200), AfterValidator(_plain_text)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain_text)]
Share = Annotated[Real, Field(ge=0, le=1)]
Factor = Annotated[Real, Field(ge=0, le=1000)]
Voltage = Annotated[Real, Field(ge=0.5, le=1.5)]
Hours = Annotated[Real, Field(ge=0, le=168)]
Price = Annotated[Real, Field(ge=-10, le=10)]
Charge = Annotated[Real, Field(ge=0, le=10)]
Zone = Annotated[str, AfterValidator(_zone)]


class Section(BaseModel):
    """A table of the scenario file; unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Time(Section):
    """When the run begins, how long it takes, and its grid."""

    start: Annotated[datetime, BeforeValidator(_moment), AfterValidator(_aware)] = Field(
        description="first moment, with its offset from UTC"
    )
    days: Annotated[Whole, Field(ge=1, le=366)] = Field(7, description="length of the run in days of 24 hours")
    interval_s: Literal[300, 900, 1800, 3600] = Field(900, description="length of an interval in seconds")
    zone: Zone = Field("Europe/Berlin", description="time zone of people and tariffs")


class Grid(Section):
    """The feeder and what the operator accepts on it."""

    network: Name = Field(
        description="bundled network, pandapower:NAME, simbench:CODE, or a JSON file beside the scenario"
    )
    slack_vm_pu: Annotated[Real, Field(ge=0.8, le=1.2)] | None = Field(
        None, description="slack voltage in pu; the network's own if absent"
    )
    vm_min_pu: Annotated[Real, Field(ge=0.5, le=1.0)] = Field(0.95, description="lowest accepted voltage in pu")
    vm_max_pu: Annotated[Real, Field(ge=1.0, le=1.5)] = Field(1.05, description="highest accepted voltage in pu")
    loading_percent: Annotated[Real, Field(ge=5, le=1000)] = Field(
        100.0, description="highest accepted branch loading in percent of its rating"
    )


class People(Section):
    """Who lives there, and with which devices."""

    table: Name = Field(description="CSV of customers, bundled or beside the scenario")
    only: tuple[str, ...] = Field((), description="ids of the prosumers that take part; all if empty")
    strategy: Name = Field("predictive", description="strategy of everybody not named in `strategies`")
    strategies: dict[str, Name] = Field(default_factory=dict, description="strategy by prosumer id")
    shares: dict[str, Share] = Field(
        default_factory=dict, description="share of prosumers by strategy, drawn by the seed; the rest has `strategy`"
    )
    negotiation: Name = Field("two_stage", description="how everybody negotiates who is not named in `negotiations`")
    negotiations: dict[str, Name] = Field(default_factory=dict, description="how to negotiate by prosumer id")
    load_scale: Factor = Field(1.0, description="factor on demand")
    pv_scale: Factor = Field(1.0, description="factor on photovoltaic ratings")
    wind_scale: Factor = Field(1.0, description="factor on wind ratings")
    battery_scale: Factor = Field(1.0, description="factor on battery power and capacity")
    heat_pump_scale: Factor = Field(1.0, description="factor on heat pump ratings")
    cars_per_kw: Annotated[Real, Field(ge=0, le=10)] = Field(0.0, description="cars per kW of residential peak demand")
    car_kw: Annotated[Real, Field(ge=1, le=1000)] = Field(7.4, description="charging power of a car in kW")
    car_v2g_share: Share = Field(0.0, description="share of cars that can give energy back, whole fleets at a time")
    car_v2g_kw: Annotated[Real, Field(ge=0, le=1000)] = Field(7.4, description="power that such a car gives back in kW")
    car_v2g_efficiency: Annotated[Real, Field(ge=0.1, le=1)] = Field(
        0.9, description="what arrives at the charger of each kWh taken from a car"
    )
    car_v2g_depth_kwh: Annotated[Real, Field(ge=0, le=1000)] = Field(
        25.0, description="most that a car that gives back may lack of its charge at departure, in kWh"
    )
    car_v2g_reserve: Annotated[Real, Field(ge=0.1, le=1)] = Field(
        0.3, description="share of a car's charging power that must suffice to charge again what it gave back"
    )
    car_v2g_wear_eur_per_kwh: Charge = Field(0.03, description="cost of each kWh that a car gives back in EUR")
    battery_efficiency: Annotated[Real, Field(ge=0.1, le=1)] = Field(
        0.95, description="efficiency of charging, and of discharging"
    )
    battery_soc_min: Share = Field(0.1, description="lowest state of charge as a share of capacity")
    battery_soc_max: Share = Field(0.95, description="highest state of charge as a share of capacity")
    battery_wear_eur_per_kwh: Charge = Field(0.005, description="cost of each kWh charged or discharged in EUR")
    battery_ageing: Annotated[bool, Field(strict=True)] = Field(
        False, description="whether batteries age by the depth of their cycles and by time, and lose capacity"
    )
    battery_price_eur_per_kwh: Annotated[Real, Field(ge=0, le=10000)] = Field(
        150.0, description="price of an ageing battery in EUR per kWh of capacity; plans take their wear from it"
    )
    battery_calendar_years: Annotated[Real, Field(ge=1, le=1000)] = Field(
        15.0, description="how long an ageing battery that only stands lasts in years"
    )
    shiftable_share: Share = Field(0.1, description="share of demand that can wait")
    shiftable_delay_h: Hours = Field(2.0, description="how long it can wait in hours")
    elastic_share: Share = Field(
        0.0, description="share of demand that cannot wait but is only consumed where worth it"
    )
    elastic_least_eur_per_kwh: Price = Field(
        0.15, description="what the last kWh of elastic demand is worth in EUR/kWh: cheaper energy is always consumed"
    )
    elastic_most_eur_per_kwh: Price = Field(
        0.60, description="what its first kWh is worth in EUR/kWh: at dearer prices nothing of it is consumed"
    )
    heat_pump_store_h: Hours = Field(2.0, description="size of the heat buffer in hours of rated power")
    heat_pump_comfort: Annotated[bool, Field(strict=True)] = Field(
        False, description="whether heat pumps heat houses within a band of temperatures, in place of a buffer"
    )
    indoor_min_c: Annotated[Real, Field(ge=5, le=35)] = Field(
        19.0, description="lowest comfortable indoor temperature in degrees Celsius"
    )
    indoor_max_c: Annotated[Real, Field(ge=5, le=35)] = Field(
        23.0, description="highest comfortable indoor temperature in degrees Celsius"
    )
    house_hold_h: Annotated[Real, Field(ge=1, le=1000)] = Field(
        40.0, description="time constant of a house, in which it loses two thirds of what it is warmer, in hours"
    )
    house_design_k: Annotated[Real, Field(ge=5, le=80)] = Field(
        30.0, description="difference to the outside that a heat pump at its rating holds, in kelvin"
    )

    @model_validator(mode="after")
    def _soc_band(self) -> Self:
        if self.battery_soc_min >= self.battery_soc_max:
            raise ValueError("battery_soc_min must be below battery_soc_max")
        if self.indoor_min_c >= self.indoor_max_c:
            raise ValueError("indoor_min_c must be below indoor_max_c")
        if self.elastic_least_eur_per_kwh >= self.elastic_most_eur_per_kwh:
            raise ValueError("elastic_least_eur_per_kwh must be below elastic_most_eur_per_kwh")
        if again := repeated(self.only):
            raise ValueError(f"only names {shown(self.only[again[0]])!r} twice")
        return self


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


class OperatorSection(Section):
    """What the operator does."""

    envelopes: Name = Field("fair", description="envelope policy")
    curtailment: Name = Field("pro_rata", description="rule for plans that the grid does not carry")
    tighten_rounds: Annotated[Whole, Field(ge=0, le=3)] = Field(
        2, description="rounds of tightening before the rule acts"
    )


class NegotiationSection(Section):
    """How room is negotiated where the envelope policy is `negotiated`."""

    day_gate: Annotated[bool, Field(strict=True)] = Field(
        True, description="whether the room of each local day is negotiated and committed the day before"
    )
    day_gate_hour: Annotated[Whole, Field(ge=0, le=23)] = Field(
        12, description="local hour at which the day gate closes"
    )
    day_rounds: Annotated[Whole, Field(ge=1, le=500)] = Field(40, description="most rounds of the day gate")
    rounds: Annotated[Whole, Field(ge=1, le=100)] = Field(5, description="most rounds of an interval's gate")
    steps: Annotated[Whole, Field(ge=1, le=4)] = Field(
        4, description="intervals that an interval's gate looks at, itself included"
    )
    exchange: Literal["none", "pool"] = Field(
        "none", description="whether trades are negotiated beside the room in a pool, instead of auctioned"
    )
    penalty: Literal["balancing", "atc", "conditional"] = Field(
        "balancing", description="how hard both sides pull: by residuals, ever harder, or harder when progress is slow"
    )
    penalty_share: Annotated[Real, Field(gt=0, le=100)] = Field(
        2.5, description="first penalty in units of the mean retail price over the mean connection rating"
    )
    fair_share: Annotated[Real, Field(ge=0, le=1)] = Field(
        0.05, description="pull of unused room back to the fair share, as a share of the first penalty"
    )
    tolerance: Annotated[Real, Field(gt=0, le=0.1)] = Field(
        1e-3, description="gap at which both sides agree, as a share of the mean connection rating"
    )
    unmoved: Annotated[Real, Field(ge=0, le=1)] = Field(
        0.02, description="gap between offer and bids, as such a share, at which an interval is not negotiated again"
    )
    passive_margin: Literal["none", "box", "moment"] = Field(
        "none", description="room kept for forecast errors of passive load: none, the largest likely, or all but a risk"
    )
    passive_risk: Annotated[Real, Field(gt=0, lt=1)] = Field(
        0.05, description="probability with which such a margin may be used up, whatever the distribution"
    )
    letters_lost_share: Annotated[Real, Field(ge=0, le=0.9)] = Field(
        0.0, description="share of a negotiation's letters that do not arrive in their round"
    )
    ambiguity: Literal["stochastic", "norm", "wasserstein", "moment", "robust"] = Field(
        "norm",
        description="how probabilities may be wrong: not at all, by a ball of one kind, or in any way at all",
    )
    radius: Literal["literature", "valid"] = Field(
        "valid", description="how the radius of the norm ball follows from the number of samples"
    )
    confidence: Annotated[Real, Field(gt=0, lt=1)] = Field(
        0.95, description="probability with which the norm ball is to hold the true probabilities"
    )
    wasserstein_radius: Annotated[Real, Field(ge=0, le=10)] = Field(
        0.1, description="radius of the Wasserstein ball as a share of the expected energy"
    )


class InverterSection(Section):
    """What inverters of photovoltaics and wind do by themselves, by feed-in or by voltage."""

    reactive: Literal["none", "cos_phi_p", "q_u"] = Field(
        "none", description="law of reactive power: none, by feed-in (cos phi(P)), or by voltage (Q(U))"
    )
    active: Literal["none", "p_u"] = Field("none", description="law of active power: none, or by voltage (P(U))")
    kva_per_kw: Annotated[Real, Field(ge=1, le=10)] = Field(
        1.12, description="apparent power of an inverter per rated kW of its generator, in kVA/kW"
    )
    cos_phi_min: Annotated[Real, Field(ge=0.5, le=1)] = Field(
        0.9, description="least power factor, at the connection point"
    )
    cos_phi_from: Annotated[Real, Field(ge=0, lt=1)] = Field(
        0.5, description="feed-in as a share of the rating above which cos phi(P) falls from 1 to the least"
    )
    q_u_pu: tuple[Voltage, Voltage, Voltage, Voltage] = Field(
        (0.93, 0.97, 1.03, 1.07),
        description="voltages in pu at which Q(U) gives the most, begins to rest, ends to rest, draws the most",
    )
    p_u_pu: tuple[Voltage, Voltage] = Field(
        (1.06, 1.1), description="voltages in pu at which P(U) begins to fall and is at its least"
    )
    p_u_least: Share = Field(0.2, description="what P(U) leaves at its least, as a share of the rating")
    at_rest: Annotated[bool, Field(strict=True)] = Field(
        False, description="whether inverters give reactive power while their connection point does not feed in"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        most, dead, awake, least = self.q_u_pu
        if not most < dead <= awake < least:
            raise ValueError("q_u_pu must rise, but for the two in the middle, which may be the same")
        if not self.p_u_pu[0] < self.p_u_pu[1]:
            raise ValueError("p_u_pu must rise")
        return self


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
    inverter: InverterSection = InverterSection()
    profiles: ProfilesSection = ProfilesSection()

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
