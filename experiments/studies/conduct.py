"""Carrying out a study: its questions one after another, then a file for machines and a page for people."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from cosim.experiments.manifest import versions
from cosim.experiments.page import write_page
from cosim.experiments.studies.catalogue import study
from cosim.experiments.studies.study import Found, Part, PartOfRuns, Study
from cosim.journal import write_json
from cosim.models.errors import BadInputError, did_you_mean

ORDER: Final = "order.json"
ANSWERS: Final = "study.json"


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with what it came to, and how long that took."""

    part: Part | PartOfRuns
    found: Found
    seconds: float


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asked for: a study, in a hurry or not, some of its questions or all, and where results go."""

    name: str
    out: Path
    quick: bool = False
    only: tuple[str, ...] = ()

    def study(self) -> Study:
        """Return the study with the wanted questions; BadInputError for what there is not."""
        found = study(self.name)
        known = [part.key for part in found.parts]
        for key in self.only:
            if key not in known:
                raise BadInputError.one("command line", "--only", repr(key[:80]), did_you_mean(key, known))
        if self.out.exists() and not self._may_write():
            allowed = "allowed is a new or an empty folder, or one in which this very study was stopped"
            raise BadInputError.one("command line", "--out", str(self.out), allowed)
        return Study(found.title, tuple(part for part in found.parts if not self.only or part.key in self.only))

    def begin(self) -> None:
        """Make the folder this order's, so that the same order can go on in it after a stop."""
        self.out.mkdir(parents=True, exist_ok=True)
        write_json(self.out / ORDER, self._as_data())

    def _may_write(self) -> bool:
        if not self.out.is_dir() or (self.out / ANSWERS).exists():
            return False
        try:
            kept = json.loads((self.out / ORDER).read_text())
        except FileNotFoundError:
            return not any(self.out.iterdir())
        except ValueError:  # whatever this is, it was not written here
            return False
        return bool(kept == self._as_data())

    def _as_data(self) -> dict[str, Any]:
        return {"study": self.name, "quick": self.quick, "only": list(self.only), "versions": versions()}

    @property
    def command(self) -> str:
        """The command that repeats it."""
        words = ["cosim", "study", self.name, *(["--quick"] if self.quick else [])]
        return " ".join([*words, *(f"--only {key}" for key in self.only)])


def conduct(order: Order, observe: Callable[[Answered], None] = lambda _answered: None) -> dict[str, Any]:
    """Answer the questions of a study, write study.json and study.html, and return what is in the first."""
    wanted = order.study()
    order.begin()
    answered = []
    for part in wanted.parts:
        began = perf_counter()
        found = part.found(order.quick, order.out)
        answered.append(Answered(part, found, perf_counter() - began))
        observe(answered[-1])
    written = as_data(order, wanted, answered)
    write_page(order.out / "study.html", "study.html", _page(order, wanted, answered))
    write_json(order.out / ANSWERS, written)
    return written


def as_data(order: Order, wanted: Study, answered: Sequence[Answered]) -> dict[str, Any]:
    """Return a study as plain data."""
    return {
        "study": order.name,
        "title": wanted.title,
        "quick": order.quick,
        "versions": versions(),
        "answers": [
            {
                "key": one.part.key,
                "question": one.part.question,
                "rows": one.found.rows,
                "notes": one.found.notes,
                "seconds": one.seconds,
            }
            for one in answered
        ],
    }


def _page(order: Order, wanted: Study, answered: Sequence[Answered]) -> dict[str, Any]:
    pictures = {
        f"{one.part.key}-{place}": picture for one in answered for place, picture in enumerate(one.found.pictures)
    }
    return {
        "name": order.name,
        "title": wanted.title,
        "quick": order.quick,
        "command": order.command,
        "versions": [f"{name} {number}" for name, number in versions().items()],
        "pictures": pictures,
        "answers": [
            {
                "key": one.part.key,
                "question": one.part.question,
                "columns": _columns(one.found),
                "rows": one.found.rows,
                "notes": one.found.notes,
                "pictures": one.found.pictures,
            }
            for one in answered
        ],
    }


def _columns(found: Found) -> list[dict[str, Any]]:
    """Return the columns of an answer in order, and whether they hold numbers."""
    names = dict.fromkeys(name for row in found.rows for name in row)
    return [
        {"name": name, "number": any(isinstance(row.get(name), int | float) for row in found.rows)} for name in names
    ]
