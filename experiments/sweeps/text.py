"""What `cosim sweep` and `cosim compare` print of a sweep."""

import math
from collections.abc import Sequence
from typing import Any, Final

from cosim.experiments.key_figures import KEY_FIGURES, number
from cosim.experiments.sweeps.effects import Effect
from cosim.experiments.sweeps.intervals import mean_of
from cosim.experiments.sweeps.sql import rows_of
from cosim.experiments.sweeps.sweep import Sweep
from cosim.experiments.text_table import text_table

FIRST: Final = ("prosumer_cost_eur", "traded_kwh", "curtailed_kwh", "unserved_kwh", "violation_bus_intervals")
MOST_ROWS: Final = 24
MOST_EFFECTS: Final = 15
DECIMALS: Final = {figure.key: figure.decimals for figure in KEY_FIGURES}


def sweep_text(sweep: Sweep) -> str:
    """Return the first figures of every combination, means over seeds with half their intervals, and the effects."""
    rows = ensemble_rows(sweep)
    more = [f"... and {len(rows) - MOST_ROWS} more rows in cases.parquet"] if len(rows) > MOST_ROWS else []
    return "\n".join([text_table(rows[:MOST_ROWS]), *more, *_effects_text(sweep)])


def ensemble_rows(sweep: Sweep) -> list[dict[str, Any]]:
    """Return a row for every combination: its settings, how many seeds it has, its first figures."""
    statistics = sweep.statistics
    figures = [name for name in FIRST if name in statistics.figures]
    rows: list[dict[str, Any]] = []
    for settings in statistics.combinations(sweep.keys):
        means = {name: mean_of(statistics.by_seed(settings, name)) for name in figures}
        count = max((mean.count for mean in means.values()), default=0)
        told: dict[str, Any] = {name: with_half(mean.mean, mean.half, DECIMALS[name]) for name, mean in means.items()}
        names = {key: str(value) for key, value in settings.items()}
        rows.append({**names, "seeds": count, **told})
    return rows


def as_data(sweep: Sweep) -> dict[str, Any]:
    """Return what a sweep came to as plain data: its cases, and the effects, the surest and largest first."""
    return {
        "folder": str(sweep.folder),
        "keys": list(sweep.keys),
        "seeds": list(sweep.specification.seeds),
        "cases": rows_of(sweep.cases),
        "ensemble": rows_of(sweep.ensemble()),
        "effects": [effect.as_row() for effect in sweep.effects()],
    }


def effect_rows(found: Sequence[Effect]) -> list[dict[str, Any]]:
    """Return effects as rows of text."""
    return [
        {
            "key": effect.key,
            "from": str(effect.first),
            "to": str(effect.value),
            "figure": effect.figure,
            "mean": number(effect.mean_first, DECIMALS[effect.figure]),
            "change": with_half(effect.change.mean, effect.change.half, DECIMALS[effect.figure], signed=True),
            "relative": percent(effect.relative),
            "in spreads": in_spreads(effect.size),
            "sure": "yes" if effect.change.excludes_zero else "no",
        }
        for effect in found
        if effect.change.mean != 0.0
    ]


def with_half(mean: float, half: float, decimals: int, *, signed: bool = False) -> str:
    """Return a mean with half its confidence interval, where there is one.

    >>> with_half(12.345, 0.5, 1), with_half(3.0, float("nan"), 0, signed=True)
    ('12.3 +- 0.5', '+3')
    """
    text = number(mean, decimals, signed=signed)
    return text if math.isnan(half) else f"{text} +- {number(half, decimals)}"


def percent(share: float) -> str:
    """Return a relative change as text.

    >>> percent(-0.1234), percent(float("inf"))
    ('-12.3 %', 'from 0')
    """
    return "from 0" if math.isinf(share) else f"{number(100 * share, 1, signed=True)} %"


def in_spreads(size: float) -> str:
    """Return a size over spread as text; a dash where it is not known, "all" where chance moves nothing."""
    return "all" if math.isinf(size) else number(size, 1)


def _effects_text(sweep: Sweep) -> list[str]:
    rows = effect_rows(sweep.effects())
    if not sweep.keys:
        return []
    if not rows:
        return ["", "No key figure changes with any of the keys."]
    head = (
        "Effects, the surest and largest first (means over seeds +- half of the 95 % interval of differences by seed):"
    )
    return ["", head, text_table(rows[:MOST_EFFECTS])]
