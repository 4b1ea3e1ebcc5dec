"""What a person asked a sweep for, and what clashes in it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cosim.models.errors import Fault, did_you_mean
from cosim.models.table_file import shown

LARGEST_SEED: Final = 2**63 - 1
MOST_CASES: Final = 20_000
# Steps of the protocol, which are no part of a scenario: `--no-market` and its like for single runs.
SWITCHES: Final = ("switches.market", "switches.envelopes", "switches.rescue")
_NOT_HERE: Final = {
    "seed": "seeds have an option of their own: --seeds 1..20",
    "name": "a sweep keeps the name of its scenario",
}


@dataclass(frozen=True)
class Wish:
    """A scenario, what is varied over which values, seeds, and what else differs from its file."""

    scenario: str
    vary: Sequence[tuple[str, tuple[Any, ...]]] = ()
    seeds: tuple[int, ...] | None = None
    days: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    strategies: Mapping[str, str] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    plugin_folder: Path = field(default_factory=Path.cwd)

    @property
    def fixed(self) -> dict[str, Any]:
        """What differs from the file in every case, by dotted key; switches are not among it."""
        said = {key: value for key, (_, value) in self._said().items()}
        return {key: value for key, value in said.items() if key not in SWITCHES}

    @property
    def switches(self) -> dict[str, Any]:
        """Switches that are set for every case, by dotted key."""
        return {key: value for key, value in self.settings.items() if key in SWITCHES}

    def _said(self) -> dict[str, tuple[str, Any]]:
        """Return every key that is fixed, with the option that says so and its value."""
        said = {key: (f"--set {key}", value) for key, value in self.settings.items()}
        if self.days is not None:
            said["time.days"] = ("--days", self.days)
        for who, name in self.strategies.items():
            said[f"people.strategies.{who}" if who else "people.strategy"] = (f"--strategy {who or name}", name)
        return said

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong with the wish itself, whatever the scenario says."""
        yield from self._vary_faults()
        yield from self._seed_faults()
        yield from self._clashes()
        if (count := self.count) > MOST_CASES:
            yield _fault("--vary", f"{count:,} cases", f"allowed are at most {MOST_CASES:,}")

    @property
    def count(self) -> int:
        """How many cases there are."""
        count = len(self.seeds or (1,))
        for _, values in self.vary:
            count *= len(values)
        return count

    def _vary_faults(self) -> Iterator[Fault]:
        keys = [key for key, _ in self.vary]
        for key in dict.fromkeys(key for key in keys if keys.count(key) > 1):
            yield _fault(f"--vary {shown(key)}", "", "it is varied twice; allowed is one list of values")
        for key, values in [*self.vary, *((key, (value,)) for key, value in self.switches.items())]:
            option = f"--vary {shown(key)}" if key in keys else f"--set {key}"
            if not values:
                yield _fault(option, "", "a value is needed")
            for again in repeated_values(values):
                yield _fault(option, shown(again), "the value stands there twice")
            if key in SWITCHES and any(not isinstance(value, bool) for value in values):
                yield _fault(option, shown(str(list(values))), "allowed are true and false")
            if key.startswith("switches.") and key not in SWITCHES:
                yield _fault(option, "", did_you_mean(shown(key), SWITCHES))

    def _seed_faults(self) -> Iterator[Fault]:
        seeds = self.seeds
        if seeds is None:
            return
        if not seeds:
            yield _fault("--seeds", "", "a seed is needed")
        if len(set(seeds)) < len(seeds):
            again = next(seed for place, seed in enumerate(seeds) if seed in seeds[:place])
            yield _fault("--seeds", str(again), "the seed stands there twice")
        if wrong := [seed for seed in seeds if type(seed) is not int or not 0 <= seed <= LARGEST_SEED]:
            yield _fault("--seeds", shown(repr(wrong[0])), f"allowed are whole numbers from 0 to {LARGEST_SEED}")

    def _clashes(self) -> Iterator[Fault]:
        """Yield keys that have no place here, are said twice, or of which one is a table that holds the other."""
        said, keys = self._said(), list(dict.fromkeys(key for key, _ in self.vary))
        for key, sentence in _NOT_HERE.items():
            for option in ("vary",) * (key in keys) + ("set",) * (key in said):
                yield _fault(f"--{option} {key}", "", sentence)
        if "time.days" in self.settings and self.days is not None:
            yield _fault("--days", "", "it clashes with --set time.days: say one of them")
        for place, key in enumerate(keys):
            others = [option for other, (option, _) in said.items() if _overlap(key, other)]
            others += [f"--vary {other}" for other in keys[:place] if _overlap(key, other)]
            for option in others:
                yield _fault(f"--vary {shown(key)}", "", f"it clashes with {shown(option)}: say one of them")


def repeated_values(values: Sequence[Any]) -> list[str]:
    """Return values, as text, that stood before; 1 and 1.0 are one value, 1 and true are not.

    >>> repeated_values([1, 1.0, True, "a"])
    ['1.0']
    """
    seen: set[str] = set()
    again = []
    for value in values:
        small = type(value) is int and abs(value) < 2**53
        known = json.dumps(float(value) if small else value, sort_keys=True, default=str)
        if known in seen:
            again.append(str(value))
        seen.add(known)
    return again


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _fault(key: str, value: str, allowed: str) -> Fault:
    return Fault("command line", key, value, allowed)
