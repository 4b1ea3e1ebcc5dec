"""Curtailment rules: what the operator does with nominations that the grid does not carry."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from cosim.agents.dso.office import GridOffice
from cosim.agents.dso.search import largest_share
from cosim.models.grid.state import Diverged, violations
from cosim.models.step import PassiveLoad


class CurtailmentRule(ABC):
    """Returns net powers (n,) between firm and nominated that the grid carries, if firm power lets it."""

    name: ClassVar[str]

    @abstractmethod
    def curtail(
        self,
        office: GridOffice,
        net_kw: np.ndarray,
        firm_kw: np.ndarray,
        reactive_kvar: np.ndarray,
        passive: PassiveLoad,
    ) -> np.ndarray:
        """Return the reduced net powers."""


class ProRata(CurtailmentRule):
    """Everybody keeps the same share of what goes beyond firm power in the direction that does harm."""

    name = "pro_rata"

    def curtail(
        self,
        office: GridOffice,
        net_kw: np.ndarray,
        firm_kw: np.ndarray,
        reactive_kvar: np.ndarray,
        passive: PassiveLoad,
    ) -> np.ndarray:
        up, down = np.maximum(net_kw - firm_kw, 0.0), np.minimum(net_kw - firm_kw, 0.0)
        state = office.solve(net_kw, reactive_kvar, passive)
        if isinstance(state, Diverged):
            harm_up = harm_down = True
        else:
            broken = violations(state, office.limits)
            harm_up = bool(len(broken.over_bus) or broken.branch_count)
            harm_down = bool(len(broken.under_bus) or broken.branch_count)

        def reduced(share: float) -> np.ndarray:
            return firm_kw + (share if harm_up else 1.0) * up + (share if harm_down else 1.0) * down

        floor = office.breach(office.solve(reduced(0.0), reactive_kvar, passive))
        share = largest_share(lambda s: office.breach(office.solve(reduced(s), reactive_kvar, passive)) <= floor)
        return reduced(share)
