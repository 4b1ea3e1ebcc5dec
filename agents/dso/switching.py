"""The operator's desk for switches: which branches to open over a day, or to relieve one interval.

It sees nominations and its own forecasts, searches with `models.grid.reconfiguration`, and asks its AC power flow, with
inverters answering by their laws, before it orders anything to relieve a plan.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from cosim.agents.dso.office import GridOffice
from cosim.messages import GridReading, SwitchOrder
from cosim.models.grid.reconfiguration.question import Band, Effort, Switching
from cosim.models.grid.reconfiguration.reconfigure import Reconfigurer
from cosim.models.step import PassiveLoad
from cosim.views import SwitchView

# Losses that the market pays for still are to be small; a search needs them to cost something.
LEAST_LOSS_EUR_PER_KWH = 0.01


@dataclass(frozen=True, slots=True)
class SwitchRules:
    """What an operator asks of a switch state, and what operating switches costs.

    Attributes:
        per: one state for a day, or one for every hour of it.
        operation_eur: price of one operation.
        most_per_day: operations in a day, None for any number.
        most_per_switch: operations of one switch in a day, likewise.
        within_limits: whether states for a day must keep limits; those that relieve a plan always do.
        effort: how long to search.
    """

    per: Literal["day", "hour"] = "day"
    operation_eur: float = 0.5
    most_per_day: int | None = None
    most_per_switch: int | None = None
    within_limits: bool = True
    effort: Effort = field(default_factory=lambda: Effort(kicks=10))


class SwitchDesk:
    """Decides on switches; remembers what was nominated for the day, and how far readings have been from it."""

    def __init__(self, rules: SwitchRules, office: GridOffice, reconfigurer: Reconfigurer) -> None:
        self._rules = rules
        self._office = office
        self._reconfigurer = reconfigurer
        # Nominated net powers by the interval they begin with (n, intervals), and how far readings were from them.
        self._nominated_kw: dict[int, np.ndarray] = {}
        self._apart_kw = np.zeros(0)

    def rewire(self, view: SwitchView) -> list[SwitchOrder]:
        """Order switch states for a day: one for its beginning in any case, others where something changes."""
        horizon = view.horizon
        self._nominated_kw[horizon.first.index] = np.repeat(view.net_kw, np.array(horizon.counts), axis=1)
        found = self._searched(view, self._band if self._rules.within_limits else Band())
        steps = horizon.first.index + horizon.offsets
        changed = np.append(True, (found[1:] != found[:-1]).any(axis=1))
        return [SwitchOrder(int(steps[step]), found[step]) for step in np.flatnonzero(changed).tolist()]

    def relieve(self, view: SwitchView) -> list[SwitchOrder]:
        """Order a state in which the grid carries the one step of a view better, if there is one."""
        closed = self._searched(view, self._band)[0]
        if (closed == view.closed).all() or not self._breach(closed, view) < self._breach(view.closed, view):
            return []
        return [SwitchOrder(view.horizon.first.index, closed)]

    def surprised(self, reading: GridReading, share: float, intervals: int) -> bool:
        """Take a reading; say whether an hour of `intervals` has been a share of the day's mean apart from its plan."""
        first = max((first for first in self._nominated_kw if first <= reading.interval), default=None)
        if first is None or reading.interval - first >= self._nominated_kw[first].shape[1]:
            return False
        self._nominated_kw = {at: net_kw for at, net_kw in self._nominated_kw.items() if at >= first}
        planned_kw = self._at_buses(self._nominated_kw[first].T)
        apart_kw = self._at_buses(reading.net_kw) - planned_kw[reading.interval - first]
        self._apart_kw = np.append(self._apart_kw, np.abs(apart_kw).sum())
        if len(self._apart_kw) < intervals:
            return False
        usual_kw = np.abs(planned_kw).sum(axis=1).mean()
        missed_kw, self._apart_kw = self._apart_kw.mean(), np.zeros(0)
        return bool(missed_kw > share * usual_kw)

    def memory(self) -> dict[str, Any]:
        """Return what it remembers."""
        nominated = {str(first): net_kw for first, net_kw in self._nominated_kw.items()}
        return {"nominated_kw": nominated, "apart_kw": self._apart_kw}

    def restore(self, memory: dict[str, Any]) -> None:
        """Take up what `memory` returned."""
        self._nominated_kw = {int(first): net_kw for first, net_kw in memory["nominated_kw"].items()}
        self._apart_kw = memory["apart_kw"]

    @property
    def _band(self) -> Band:
        """The limits, kept as far inside as promises are."""
        limits, inside = self._office.limits, self._office.inside_pu
        return Band(limits.vm_min_pu + inside, limits.vm_max_pu - inside, limits.loading_percent * (1.0 - inside))

    def _searched(self, view: SwitchView, band: Band) -> np.ndarray:
        """Return the cheapest states for the steps of a view, one for all of them or one each (H, L)."""
        p_kw, q_kvar = self._injections(view)
        hours, rules = view.horizon.hours, self._rules
        answer = self._reconfigurer(
            p_kw,
            q_kvar,
            view.closed,
            band=band,
            hours=hours,
            loss_eur_per_kwh=np.maximum(view.loss_eur_per_kwh, LEAST_LOSS_EUR_PER_KWH),
            switching=self._switching(view.operated),
            effort=rules.effort,
        )
        return answer.closed

    def _switching(self, operated: np.ndarray) -> Switching:
        """Return what is still allowed on a day on which switches have been operated so often (L,)."""
        rules, left = self._rules, None
        if rules.most_per_day is not None:
            left = max(rules.most_per_day - int(operated.sum()), 0)
        free = per_switch = None
        if rules.most_per_switch is not None:
            free = operated < rules.most_per_switch
            per_switch = rules.most_per_switch - int(operated[free].max(initial=0))
        return Switching(rules.operation_eur, None, left, per_switch, free, at_once=rules.per == "day")

    def _injections(self, view: SwitchView) -> tuple[np.ndarray, np.ndarray]:
        """Return what buses are expected to inject (H, B), (H, B), inverters at nominal voltage."""
        net_kw, kvar = view.net_kw.T, view.reactive_kvar.T
        inverter = self._office.community.portfolio.inverter
        if inverter is not None:
            kvar = kvar + inverter.reactive_kvar(np.ones_like(net_kw), net_kw)
        return view.passive_kw + self._at_buses(net_kw), view.passive_kvar + self._at_buses(kvar)

    def _breach(self, closed: np.ndarray, view: SwitchView) -> float:
        """Return by how much a state breaks limits in the one step of a view."""
        office, passive = self._office.at(closed), PassiveLoad(view.passive_kw[0], view.passive_kvar[0])
        return office.breach(office.solve(view.net_kw[:, 0], view.reactive_kvar[:, 0], passive))

    def _at_buses(self, column: np.ndarray) -> np.ndarray:
        return self._office.community.at_buses(column)
