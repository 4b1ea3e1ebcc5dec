"""The wish in the words of a command line; what is wrong with single words is gathered, not raised."""

from collections.abc import Sequence
from functools import partial

from cosim.experiments.assignments import assignment, strategy_of
from cosim.experiments.sweeps.wish import Wish
from cosim.experiments.sweeps.words import plain, seeds_of, variation
from cosim.models.faults import Gathered


def asked(
    scenario: str,
    vary: Sequence[str],
    seeds: str | None,
    days: int | None,
    strategy: Sequence[str],
    plugins: Sequence[str],
    settings: Sequence[str],
    found: Gathered,
) -> Wish:
    """Return the wish of what can be read; faults of the rest go to `found`."""
    varied = [found.attempt(partial(variation, text)) for text in vary]
    fixed = [found.attempt(partial(assignment, text, "--set")) for text in settings]
    return Wish(
        scenario=scenario,
        vary=[each for each in varied if each],
        seeds=None if seeds is None else found.attempt(partial(seeds_of, seeds)),
        days=days,
        settings={key: plain(value) for key, value in (each for each in fixed if each)},
        strategies=dict(map(strategy_of, strategy)),
        plugins=tuple(plugins),
    )
