"""Mesa handles: who exists, with read-only windows onto the columns of the last settled interval."""

from cosim.agents.base import GridAgent
from cosim.world import World


class Prosumer(GridAgent):
    """One prosumer; figures are of the last settled interval, NaN before the first."""

    def _latest(self, column: str) -> float:
        table = self.model.latest.get("prosumers")
        return float("nan") if table is None else float(table[column][self.row])

    @property
    def net_kw(self) -> float:
        """Net power, positive into the grid."""
        return self._latest("net_kw")

    @property
    def soc_kwh(self) -> float:
        """Energy in the battery."""
        return self._latest("soc_kwh")

    @property
    def traded_kwh(self) -> float:
        """Energy traded on the market, sold positive."""
        return self._latest("position_wh") / 1000

    @property
    def money_eur(self) -> float:
        """What the interval earned (negative: cost)."""
        return self._latest("money") / 1e5


def add_handles(world: World) -> None:
    """Register a handle of every actor with a world."""
    for row, name in enumerate(world.setting.ids):
        Prosumer(world, name, row)
    GridAgent(world, "operator")
    GridAgent(world, "marketplace")
