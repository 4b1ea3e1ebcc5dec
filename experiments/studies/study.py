"""What a study is: questions, each answered by rows of figures whose names carry their units."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]
"""One line of an answer: text, numbers, yes and no, None where there is no figure."""

Picture = dict[str, Any]
"""A plotly figure as plain data."""


def or_none(value: float) -> float | None:
    """Return a figure, None where it is not a number: an interval of one seed has no ends."""
    return None if math.isnan(value) else value


SECONDS = "seconds"
"""Columns whose name ends so are the only figures that differ between two runs of a study."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a question came to: rows, pictures of them, and sentences on how to read them."""

    rows: list[Row]
    pictures: list[Picture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Part:
    """One question of a study: its key, the question, and how it is answered, quickly or in full."""

    key: str
    question: str
    answer: Callable[[bool], Found]

    def found(self, quick: bool, _folder: Path) -> Found:
        """Answer the question; nothing is kept in the study's folder meanwhile."""
        return self.answer(quick)


@dataclass(frozen=True, slots=True)
class PartOfRuns:
    """A question answered from runs that are kept in the study's folder: asked again after a stop, it goes on."""

    key: str
    question: str
    answer: Callable[[bool, Path], Found]

    def found(self, quick: bool, folder: Path) -> Found:
        """Answer the question from runs in the study's folder, those that have finished before and the others."""
        return self.answer(quick, folder)


@dataclass(frozen=True, slots=True)
class Study:
    """A named set of questions."""

    title: str
    parts: tuple[Part | PartOfRuns, ...]
