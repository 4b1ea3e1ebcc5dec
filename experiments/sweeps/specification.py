"""What a sweep is, once everything in it has been checked: a scenario, what varies, seeds; its cases in order."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Final

from cosim.experiments.build import Build, Switches
from cosim.experiments.manifest import versions
from cosim.experiments.scenario import Scenario
from cosim.experiments.sweeps.case import Case
from cosim.experiments.sweeps.leaves import leaves, with_settings
from cosim.experiments.sweeps.wish import SWITCHES, Wish
from cosim.models.errors import BadInputError, Fault, StorageError
from cosim.models.faults import Gathered, first_faults
from cosim.models.table_file import shown
from cosim.registry import allow_plugins

FORMAT: Final = 1
LONGEST_SLUG: Final = 40
Settings = dict[str, Any]


@dataclass(frozen=True)
class Specification:
    """A sweep: `base` is the resolved scenario, `vary` the values by dotted key, `switches` those of every case."""

    asked_for: str
    folder: Path
    base: dict[str, Any]
    vary: dict[str, tuple[Any, ...]]
    seeds: tuple[int, ...]
    switches: dict[str, bool]
    plugins: tuple[str, ...]
    plugin_folder: Path

    @property
    def keys(self) -> tuple[str, ...]:
        """The dotted keys that vary."""
        return tuple(self.vary)

    def combinations(self) -> list[Settings]:
        """Return every combination of values of the varied keys, the last key fastest."""
        return [dict(zip(self.vary, values, strict=True)) for values in product(*self.vary.values())]

    def scenario(self, settings: Settings, seed: int) -> Scenario:
        """Return the scenario of a case; BadInputError lists what is wrong with it."""
        changed = {key: value for key, value in settings.items() if key not in SWITCHES}
        return Scenario.checked(with_settings(self.base, {**changed, "seed": seed}), f"{self.base['name']}.toml")

    def cases(self, out: Path) -> Iterator[Case]:
        """Yield the cases, all combinations of the first seed first: what a stopped sweep has done compares well."""
        combinations, width = self.combinations(), max(len(str(seed)) for seed in self.seeds)
        scenarios = [self.scenario(settings, self.seeds[0]).model_dump(mode="json") for settings in combinations]
        named = list(zip(case_names(combinations), combinations, scenarios, strict=True))
        for seed in self.seeds:
            for name, settings, scenario in named:
                full = "_".join([*([name] if name else []), f"seed-{seed:0{width}d}"])
                yield self._case(full, seed, settings, {**scenario, "seed": seed}, out)

    def build(self, settings: Settings) -> Build:
        """Return what the world of a combination is built from, under the first seed."""
        scenario = self.scenario(settings, self.seeds[0])
        allowed = allow_plugins(self.plugins, self.plugin_folder, load=not scenario.plugins.isolate)
        return Build(scenario, self.folder, self._switches(settings), allowed)

    def as_data(self) -> dict[str, Any]:
        """Return what is kept in sweep.json."""
        return {
            "format": FORMAT,
            "asked_for": self.asked_for,
            "folder": str(self.folder),
            "base": self.base,
            "vary": {key: list(values) for key, values in self.vary.items()},
            "vary_order": list(self.vary),
            "seeds": list(self.seeds),
            "switches": self.switches,
            "plugins": list(self.plugins),
            "plugin_folder": str(self.plugin_folder),
            "versions": versions(),
        }

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Specification":
        """Return the specification of a sweep.json; StorageError where something in it is missing."""
        try:
            return cls(
                asked_for=kept["asked_for"],
                folder=Path(kept["folder"]),
                base=kept["base"],
                vary={key: tuple(kept["vary"][key]) for key in kept["vary_order"]},
                seeds=tuple(kept["seeds"]),
                switches=kept["switches"],
                plugins=tuple(kept["plugins"]),
                plugin_folder=Path(kept["plugin_folder"]),
            )
        except (KeyError, TypeError) as error:
            raise StorageError(f"sweep.json is damaged: {error}") from error

    def _switches(self, settings: Settings) -> Switches:
        on = {**self.switches, **{key: value for key, value in settings.items() if key in SWITCHES}}
        return Switches(**{key.removeprefix("switches."): value for key, value in on.items()})

    def _case(self, name: str, seed: int, settings: Settings, scenario: dict[str, Any], out: Path) -> Case:
        return Case(
            name=name,
            seed=seed,
            settings=settings,
            out=out.absolute() / "cases" / name,
            asked_for=self.asked_for,
            folder=self.folder,
            scenario=scenario,
            switches=self._switches(settings),
            plugins=self.plugins,
            plugin_folder=self.plugin_folder,
        )


def specify(wish: Wish, found: Gathered, *, known: bool = False) -> Specification:
    """Check a wish against its scenario; BadInputError lists every fault of it, and those already `found`.

    Every combination's scenario is read. Unless it is a sweep that is `known` from an earlier call, a world is built
    for as many combinations as show each value once.
    """
    found.add(wish.faults(), "command line")
    base = found.attempt(partial(_base, wish))
    if base is None:
        # What is varied is told of now, too, each value by itself.
        for key, values in wish.vary:
            for value in values:
                found.attempt(partial(Scenario.load, wish.scenario, overrides=_no_switches({**wish.fixed, key: value})))
    found.attempt(partial(allow_plugins, wish.plugins, wish.plugin_folder, load=False))
    if base is None or found.faults:
        _stop_after_values(wish, base, found)
    assert base is not None
    specification = _specification(wish, *base)
    _check_combinations(specification, found, build=not known)
    return specification


def differences(kept: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (dotted key, value there, value here) of what differs between two kept specifications."""
    there, here = dict(leaves(kept)), dict(leaves(now))
    keys = sorted({*there, *here} - {"vary_order"})
    return [(key, there.get(key), here.get(key)) for key in keys if there.get(key) != here.get(key)]


def case_names(combinations: Sequence[Settings]) -> list[str]:
    """Return a name for each combination that a folder can have: short keys and values; no two alike.

    >>> case_names([{"people.pv_scale": 1.0, "market.mechanism": "a/b"}, {}])
    ['pv_scale-1.0_mechanism-a_b', '']
    """
    taken: set[str] = set()
    names = []
    for settings in combinations:
        lasts = [key.rpartition(".")[2] for key in settings]
        parts = [
            f"{_slug(last if lasts.count(last) == 1 else key)}-{_slug(value)}"
            for (key, value), last in zip(settings.items(), lasts, strict=True)
        ]
        name, count = "_".join(parts), 1
        # Not every file system tells Fair from fair.
        while name.casefold() in taken:
            count += 1
            name = f"{'_'.join(parts)}-{count}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _slug(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"[^A-Za-z0-9.+]+", "_", text)[:LONGEST_SLUG] or "_"


def _no_switches(settings: Settings) -> Settings:
    return {key: value for key, value in settings.items() if key not in SWITCHES}


def _base(wish: Wish) -> tuple[Scenario, Path]:
    return Scenario.load(wish.scenario, overrides=wish.fixed)


def _specification(wish: Wish, scenario: Scenario, folder: Path) -> Specification:
    own_file = wish.scenario.endswith(".toml")
    return Specification(
        asked_for=str(Path(wish.scenario).resolve()) if own_file else wish.scenario,
        folder=folder.resolve(),
        base=scenario.model_dump(mode="json"),
        vary=dict(wish.vary),
        seeds=wish.seeds or (scenario.seed,),
        switches=dict(wish.switches),
        plugins=wish.plugins,
        plugin_folder=(wish.plugin_folder if wish.plugins else folder).resolve(),
    )


def _stop_after_values(wish: Wish, base: tuple[Scenario, Path] | None, found: Gathered) -> None:
    """Add faults of single values to those found, then raise them."""
    if base is not None:
        alone = _specification(wish, *base)
        for key, values in wish.vary:
            for value in values:
                found.attempt(partial(alone.scenario, {key: value}, 1))
    found.stop()


def _check_combinations(specification: Specification, found: Gathered, *, build: bool) -> None:
    combinations = specification.combinations()
    seed = specification.seeds[0]
    wrong = [fault for settings in combinations for fault in _faults_of(specification, settings, seed)]
    found.add(dict.fromkeys(wrong), "command line")
    found.stop()
    for settings in covering(specification.vary) if build else ():
        found.attempt(specification.build(settings).world)
    found.stop()


def _faults_of(specification: Specification, settings: Settings, seed: int) -> tuple[Fault, ...]:
    try:
        specification.scenario(settings, seed)
    except BadInputError as error:
        return error.faults
    return ()


def covering(vary: Mapping[str, Sequence[Any]]) -> list[Settings]:
    """Return as few combinations as show every value once.

    >>> covering({"a": [1, 2, 3], "b": ["x", "y"]})
    [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'y'}, {'a': 3, 'b': 'x'}]
    """
    most = max(map(len, vary.values()), default=1)
    return [{key: values[place % len(values)] for key, values in vary.items()} for place in range(most)]


def difference_faults(out: Path, kept: Mapping[str, Any], now: Mapping[str, Any]) -> list[Fault]:
    """Say in faults what is asked for otherwise than in a folder's sweep."""
    faults = (
        Fault(
            "command line",
            f"--out {out}",
            "",
            f"it holds another sweep: {key} is {shown(str(there), 100)} there and {shown(str(here), 100)} here",
        )
        for key, there, here in differences(kept, now)
    )
    return first_faults(faults, "command line")
