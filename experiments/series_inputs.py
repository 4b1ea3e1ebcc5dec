"""Profiles of a run: which columns the customers use, from a person's own files and the bundled table, on one clock."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Final

import numpy as np

from cosim.experiments.scenario import ProfileFile, ProfilesSection, Scenario
from cosim.models.errors import Fault, did_you_mean
from cosim.models.faults import Gathered
from cosim.models.paths import inside
from cosim.models.profiles import PRICE, Profiles, on_clock, read_table, table_columns
from cosim.models.prosumer_checks import RATED_BY
from cosim.models.prosumer_table import NUMBERS, PROFILES, ProsumerTable
from cosim.models.series_file import SeriesFile, SeriesTable, read_series, series_names
from cosim.models.table_file import shown
from cosim.models.village import BUNDLED_LOAD, load_columns, profile_columns

MOST_EUR_PER_KWH: Final = 10.0
LEAST_EUR_PER_KWH: Final = 1e-3
MOST_PER_RATING: Final = 2.0
PEAK_RATIO: Final = (0.1, 10.0)
KW_RATIO: Final = (0.01, 1.5)
EXAMPLES: Final = 3

Own = Mapping[str, SeriesFile]


@dataclass(frozen=True)
class Use:
    """One use of a profile: by whom, for which column of the table, and with which rating (kW)."""

    who: str
    column: str
    rating: str
    profile: str
    rating_kw: float


@dataclass(frozen=True)
class Used:
    """What the customers use of the profiles there are; `own` tells the file of each name in a person's files."""

    customers: ProsumerTable
    own: Own

    @cached_property
    def uses(self) -> list[Use]:
        """List every use, in the order of the table's columns and of the customers."""
        found = []
        for column, field in PROFILES.items():
            rating = RATED_BY[column]
            ratings = getattr(self.customers, NUMBERS[rating])
            names: Sequence[str | None] = getattr(self.customers, field)
            loads = column not in {"pv_profile", "wind_profile"}
            columns = load_columns(names, self.own) if loads else names
            found += [
                Use(who, column, rating, name, float(kw))
                for who, name, kw in zip(self.customers.ids, columns, ratings, strict=True)
                if name is not None
            ]
        return found


def own_files(section: ProfilesSection, folder: Path, file: str) -> dict[str, SeriesFile]:
    """Return the file of each profile in a person's own files; BadInputError for missing ones and names said twice."""
    found, own = Gathered(), dict[str, SeriesFile]()
    for place, entry in enumerate(section.files):
        key = f"profiles.files.{place}"
        spec = found.attempt(partial(_spec, entry, folder, file, key))
        if spec is None:
            continue
        for name in found.attempt(partial(series_names, spec)) or []:
            if name in own:
                other = f"{own[name].name} has it, too; `columns` gives profiles other names"
                found.add([Fault(file, f"{key}.columns", repr(shown(name)), other)], file)
            own[name] = spec
    found.stop()
    return own


def _spec(entry: ProfileFile, folder: Path, file: str, key: str) -> SeriesFile:
    path = inside(folder, entry.file, file=file, key=f"{key}.file")
    return SeriesFile(path, entry.file, entry.time, entry.zone, entry.step_s, entry.fill, entry.unit, entry.columns)


def read_profiles(scenario: Scenario, used: Used, file: str) -> Profiles:
    """Read the profiles that are used and place them on the run's clock; BadInputError for whatever is wrong there."""
    found, own, section = Gathered(), used.own, scenario.profiles
    price = PRICE if section.price is None else section.price
    bundled = table_columns()
    found.add(_unknown(scenario, used, price, bundled, file), scenario.people.source)
    wanted = {*profile_columns(used.customers, own), price}
    tables = []
    for spec in {id(spec): spec for spec in own.values()}.values():
        names = {name for name in wanted if own.get(name) is spec}
        tables.append(found.attempt(partial(read_series, spec, names)))
    found.stop()
    rest = sorted(name for name in wanted if name not in own)
    ours = [read_table(columns=rest)] if rest else []
    for table in ours:
        found.add(_bundled_reach(scenario, used, price, table, file), file)
    found.stop()
    return on_clock(
        [*(table for table in tables if table is not None and table.names), *ours],
        scenario.time.start,
        scenario.time.interval_s,
        own=frozenset(own),
        in_kw=frozenset(name for name, spec in own.items() if spec.unit == "kW"),
        price_name=price,
        price_factor=1.0 if section.price is not None and section.price_unit == "EUR/kWh" else 1e-3,
    )


def _unknown(scenario: Scenario, used: Used, price: str, bundled: Sequence[str], file: str) -> Iterator[Fault]:
    """Yield profiles that are in no file, each once, with who asks for it."""
    if price not in used.own and price != PRICE:
        yield Fault(file, "profiles.price", repr(shown(price)), did_you_mean(price, used.own))
    said: set[str] = set()
    for use in used.uses:
        if use.profile not in used.own and use.profile not in bundled and use.profile not in said:
            said.add(use.profile)
            plain = _plain(use)
            loads = use.column not in {"pv_profile", "wind_profile"}
            known = [*used.own, *_suitable(bundled, loads=loads)]
            hint = did_you_mean(plain, known)
            yield Fault(scenario.people.source, f"{use.column} of {use.who}", repr(shown(plain)), hint)


def _bundled_reach(scenario: Scenario, used: Used, price: str, table: SeriesTable, file: str) -> Iterator[Fault]:
    """Yield a start that the bundled profiles do not hold, and what they are needed for."""
    start = scenario.time.start
    begin, end = (datetime.fromtimestamp(second, UTC) for second in (table.begin.timestamp(), table.end_s))
    if begin <= start < end:
        return
    needs = ["the day-ahead price (`price` in [profiles] names a profile of your own)"] if price in table.names else []
    whose = {use.profile: f"{_plain(use)!r} ({use.column} of {use.who})" for use in reversed(used.uses)}
    needs += [text for name, text in whose.items() if name in table.names]
    more = f" and {len(needs) - EXAMPLES} more" if len(needs) > EXAMPLES else ""
    allowed = f"the bundled profiles reach from {begin.isoformat()} until {end.isoformat()}; used of them are "
    yield Fault(file, "time.start", start.isoformat(), f"{allowed}{', '.join(needs[:EXAMPLES])}{more}")


def _plain(use: Use) -> str:
    """Return a profile's name as a table of customers writes it."""
    return use.profile.removesuffix(BUNDLED_LOAD)


def _suitable(bundled: Sequence[str], *, loads: bool) -> list[str]:
    """Return the bundled names for consumption, or those for generation, as a table of customers writes them."""
    if loads:
        return [name.removesuffix(BUNDLED_LOAD) for name in bundled if name.endswith(BUNDLED_LOAD)]
    return [name for name in bundled if not name.endswith((BUNDLED_LOAD, "_qload")) and name != PRICE]


def profile_faults(scenario: Scenario, used: Used, profiles: Profiles, file: str) -> Iterator[Fault]:
    """Yield values that only a wrong unit or a wrong sign explains: of prices, of profiles, of ratings."""
    yield from _price_faults(scenario.profiles, profiles, file)
    said: set[str] = set()
    for use in used.uses:
        row = profiles.values[profiles.names.index(use.profile)]
        low, high = float(row.min()), float(row.max())
        if use.profile in used.own and use.profile not in said and low < 0:
            said.add(use.profile)
            name = used.own[use.profile].name
            yield Fault(name, f"column {use.profile!r}", f"{low:g} at its lowest", "allowed are values of 0 or more")
        if use.profile in profiles.in_kw and not KW_RATIO[0] * use.rating_kw <= high <= KW_RATIO[1] * use.rating_kw:
            allowed = (
                f"its profile {use.profile!r} peaks at {high:g} kW; allowed are {KW_RATIO[0]:g} to {KW_RATIO[1]:g} "
                "times the rating (W for kW?)"
            )
            yield Fault(scenario.people.source, f"{use.rating} of {use.who}", f"{use.rating_kw:g}", allowed)
        elif use.column == "load_profile" and use.profile not in profiles.in_kw:
            yield from _peak_faults(scenario, used.customers, use, high)
        elif use.profile not in profiles.in_kw and use.profile not in said and high > MOST_PER_RATING:
            said.add(use.profile)
            allowed = f'allowed is up to {MOST_PER_RATING:g} kW per kW of rating; is it in kW? then unit = "kW"'
            yield Fault(profiles.source, f"column {use.profile!r}", f"{high:g} at its highest", allowed)


def _peak_faults(scenario: Scenario, customers: ProsumerTable, use: Use, high: float) -> Iterator[Fault]:
    """Yield a peak in the table that is not that of the profile by far."""
    stated = float(customers.load_peak_pu[customers.ids.index(use.who)])
    file, key = scenario.people.source, f"profile_peak_pu of {use.who}"
    if high <= 0 and use.rating_kw > 0:
        yield Fault(file, f"load_profile of {use.who}", repr(_plain(use)), "is 0 at all times: it has no peak to scale")
    elif not np.isnan(stated) and not PEAK_RATIO[0] <= stated / max(high, 1e-12) <= PEAK_RATIO[1]:
        yield Fault(file, key, f"{stated:g}", f"profile {_plain(use)!r} peaks at {high:g}; leave it empty to take that")


def _price_faults(section: ProfilesSection, profiles: Profiles, file: str) -> Iterator[Fault]:
    if section.price is None:
        return
    highest = float(np.abs(profiles.price().window(-profiles.first, profiles.values.shape[1])).max())
    if not LEAST_EUR_PER_KWH <= highest <= MOST_EUR_PER_KWH:
        allowed = (
            f"with it the largest price is {highest:g} EUR/kWh; allowed is {LEAST_EUR_PER_KWH:g} to "
            f"{MOST_EUR_PER_KWH:g}: is the other unit meant?"
        )
        yield Fault(file, "profiles.price_unit", section.price_unit, allowed)


def with_peaks(customers: ProsumerTable, profiles: Profiles) -> ProsumerTable:
    """Return customers with the highest value of their load profile where the table leaves it open."""
    columns = load_columns(customers.load_profile, profiles.own)
    peaks = [
        (1.0 if name is None else max(profiles.peak(name), 1e-12)) if np.isnan(stated) else stated
        for name, stated in zip(columns, customers.load_peak_pu.tolist(), strict=True)
    ]
    return replace(customers, load_peak_pu=np.array(peaks))
