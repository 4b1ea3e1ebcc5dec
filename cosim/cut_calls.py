"""Calls of plug-ins that were cut short by the clock or by the machine, written down so that a resume cuts them again.

Nothing else that wall-clock time decides ever reaches a result. The n-th call of a run is the same one in every
repetition of it, so its number is its name.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

FILE = "cut-calls.jsonl"


class CutCallError(Exception):
    """A call that did not come to its end; `cause` is the fixed word for the event table."""

    def __init__(self, cause: str, sentence: str) -> None:
        super().__init__(sentence)
        self.cause = cause
        self.foreign_words = sentence


@dataclass
class CutCalls:
    """The calls of a run that were cut short, by number; kept in a file where there is one."""

    path: Path | None = None
    _known: dict[int, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Return those of a run's folder; a last line that a crash left unfinished never took effect."""
        path, known = folder.absolute() / FILE, {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
                if line.endswith("\n"):
                    number, cause, sentence = json.loads(line)
                    known[number] = (cause, sentence)
        return cls(path, known)

    def again(self, number: int) -> None:
        """Raise what cut a call short, if it has been."""
        if number in self._known:
            raise CutCallError(*self._known[number])

    def note(self, number: int, error: CutCallError) -> None:
        """Write down that a call was cut, on the disk before anything follows from it."""
        if number in self._known:
            return
        self._known[number] = (error.cause, str(error))
        if self.path is None:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([number, error.cause, str(error)]) + "\n")
            file.flush()
            os.fsync(file.fileno())
