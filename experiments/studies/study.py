"""What a study is: questions, each answered by rows of figures whose names carry their units."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
"""One line of an answer: text, numbers, yes and no, None where there is no figure."""

Picture = dict[str, Any]
"""A plotly figure as plain data."""

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


@dataclass(frozen=True, slots=True)
class Study:
    """A named set of questions."""

    title: str
    parts: tuple[Part, ...]
