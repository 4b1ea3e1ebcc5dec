"""The mesa handle of an actor: a name, a row, and read-only windows onto its columns."""

from typing import Any

import mesa


class GridAgent(mesa.Agent):
    """An actor of the world; it holds no state of its own, the world's columns do."""

    def __init__(self, world: Any, name: str, row: int = -1) -> None:
        super().__init__(world)
        self.name = name
        self.row = row
