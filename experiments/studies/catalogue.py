"""The studies that `cosim study` knows, by name; each is loaded when it is asked for."""

from dataclasses import dataclass
from importlib import import_module

from cosim.experiments.studies.study import Study
from cosim.models.errors import BadInputError, did_you_mean


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the catalogue: the module that has the study as `STUDY`, and what it asks."""

    module: str
    title: str


STUDIES = {
    "negotiated-envelopes": Entry(
        "cosim.experiments.studies.negotiated_envelopes",
        "what negotiated operating envelopes are worth, how fast they are agreed on, and what they cost in talk",
    ),
    "mechanisms": Entry(
        "cosim.experiments.studies.mechanisms",
        "what each market mechanism makes of one day, with and without envelopes: welfare, money, fairness, violations",
    ),
    "who-invades": Entry(
        "cosim.experiments.studies.who_invades",
        "which bidding strategies spread where prosumers imitate the better-off, and which can invade which",
    ),
    "reconfiguration": Entry(
        "cosim.experiments.studies.reconfiguration",
        "what switches bring beside a market, alone and coordinated, and what they do to a village",
    ),
}


def study(name: str) -> Study:
    """Return a study by its name; BadInputError says which there are."""
    if name not in STUDIES:
        raise BadInputError.one("command line", "NAME", repr(name[:80]), did_you_mean(name, STUDIES))
    found: Study = import_module(STUDIES[name].module).STUDY
    return found
