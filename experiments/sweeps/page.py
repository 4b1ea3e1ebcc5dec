"""The page of a sweep: effects, small multiples, every combination, and how to repeat it."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosim.experiments.page import write_page
from cosim.experiments.plots import COLOURS, GLYPHS
from cosim.experiments.repeat import options, toml
from cosim.experiments.scenario import Scenario
from cosim.experiments.sweeps.effects import Effect
from cosim.experiments.sweeps.pictures import panels, seed_panels
from cosim.experiments.sweeps.text import effect_rows, ensemble_rows
from cosim.models.errors import BadInputError

if TYPE_CHECKING:
    from cosim.experiments.sweeps.sweep import Sweep


def write_sweep_page(sweep: "Sweep") -> Path:
    """Write sweep.html into a sweep's folder and return its path."""
    return write_page(sweep.folder / "sweep.html", "sweep.html", _content(sweep))


def _content(sweep: "Sweep") -> dict[str, Any]:
    specification, statistics, effects = sweep.specification, sweep.statistics, sweep.effects()
    multiples = [
        {
            "key": key,
            "says": _says(key, effects),
            "legend": _legend(sweep, key),
            "panels": panels(statistics, key, effects),
        }
        for key in sweep.keys
    ] or [{"key": "seed", "says": "", "legend": [], "panels": seed_panels(statistics)}]
    pictures = {
        f"{place}-{number}": panel
        for place, multiple in enumerate(multiples)
        for number, panel in enumerate(multiple["panels"])
    }
    cases = len(specification.seeds) * len(specification.combinations())
    return {
        "title": f"Sweep of {specification.base['name']}",
        "scenario": specification.base,
        "keys": sweep.keys,
        "seeds": len(specification.seeds),
        "cases": cases,
        "finished": len(sweep.cases),
        "multiples": multiples,
        "pictures": pictures,
        "effects": effect_rows(effects),
        "ensemble": ensemble_rows(sweep),
        "command": command(sweep),
        "versions": [f"{name} {number}" for name, number in specification.as_data()["versions"].items()],
    }


def command(sweep: "Sweep") -> str:
    """Return the command that goes on with the sweep, or repeats it elsewhere, while its scenario's file stands."""
    specification = sweep.specification
    words = ["cosim", "sweep", specification.asked_for]
    for key, values in specification.vary.items():
        words += ["--vary", f"{key}={','.join(map(toml, values))}"]
    words += ["--seeds", seeds_text(specification.seeds)]
    try:
        before = Scenario.load(specification.asked_for, overrides={"seed": specification.base["seed"]})[0]
        words += options(before.model_dump(mode="json"), specification.base)
    except BadInputError:
        words += ["..."]  # the file is gone: what was changed of it cannot be said
    for key, value in specification.switches.items():
        words += ["--set", f"{key}={toml(value)}"]
    for name in specification.plugins:
        words += ["--allow-plugin", name]
    return shlex.join([*words, "--out", str(sweep.folder)])


def seeds_text(seeds: tuple[int, ...]) -> str:
    """Return seeds as the command line reads them.

    >>> seeds_text((1, 2, 3, 7))
    '1..3,7'
    """
    ranges: list[list[int]] = []
    for seed in seeds:
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ",".join(f"{first}..{last}" if last > first else str(first) for first, last in ranges)


def _says(key: str, effects: Sequence[Effect]) -> str:
    """Say which figure a key changes most surely, and how many it surely changes at all."""
    of_key = [effect for effect in effects if effect.key == key]
    if all(effect.change.count < 2 for effect in of_key):
        return ""  # one seed says nothing about chance
    sure = {effect.figure for effect in of_key if effect.change.excludes_zero}
    if not sure:
        return "No key figure surely changes."
    first = effect_rows(of_key)[0]
    return (
        f"{len(sure)} of {len({effect.figure for effect in of_key})} key figures surely change, {first['figure']} most"
        f" clearly: by {first['change']} ({first['relative']}) from {first['from']} to {first['to']}."
    )


def _legend(sweep: "Sweep", key: str) -> list[dict[str, str]]:
    """Return the colours and marks of the lines in a key's panels, where they have any meaning."""
    others = [other for other in sweep.keys if other != key]
    if len(others) != 1 or len(sweep.specification.vary[others[0]]) > len(COLOURS):
        return []
    values = sweep.statistics.cells[others[0]]
    return [
        {"colour": colour, "glyph": glyph, "name": f"{others[0]}: {value}"}
        for value, colour, glyph in zip(values, COLOURS, GLYPHS, strict=False)
    ]
