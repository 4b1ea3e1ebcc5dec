"""The mesa handle of an actor: a name, a row, and read-only windows onto its columns."""

from collections.abc import Iterator
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import mesa


class _Counters:
    """Mesa's counters of agents, model by model, that let a model go when nobody else holds it."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Any, Iterator[int]] = WeakKeyDictionary()

    def __getitem__(self, model: Any) -> Iterator[int]:
        return self._of.setdefault(model, count(1))


class GridAgent(mesa.Agent):
    """An actor of the world; it holds no state of its own, the world's columns do."""

    # Mesa's own table keeps every model for ever: a process that runs a thousand cases would hold a thousand worlds.
    _ids = _Counters()

    def __init__(self, world: Any, name: str, row: int = -1) -> None:
        super().__init__(world)
        self.name = name
        self.row = row
