"""What devices and grid agree on when inverters answer the voltage that their own power makes.

The voltages of a power flow move reactive power and cap generation, those move the power flow: a fixed point, which
`cosim.models.settling` finds. Plans and deliveries come from here, and operators ask the same laws about theirs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cosim.models.devices.columns import Delivery, DeviceState, Exogenous, SetPoints
from cosim.models.devices.deliver import deliver
from cosim.models.devices.inverter import Inverter
from cosim.models.devices.portfolio import Portfolio
from cosim.models.envelope import Envelopes
from cosim.models.grid.state import Diverged, GridState
from cosim.models.settling import Settled, settle
from cosim.models.time import Interval

Solve = Callable[[np.ndarray, np.ndarray], GridState | Diverged]
"""Power flow for prosumers' net powers and reactive powers (..., n), (..., n)."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What devices did and the grid it made; `load_kvar` and `unsettled_kva` are as in `StepResult`."""

    state: DeviceState
    delivery: Delivery
    grid: GridState | Diverged
    load_kvar: np.ndarray
    unsettled_kva: np.ndarray


@dataclass(frozen=True, slots=True)
class Scene:
    """One interval before inverters have answered: devices (n of them at `bus` (n,)), decisions, weather, grid."""

    portfolio: Portfolio
    bus: np.ndarray
    solve: Solve
    state: DeviceState
    set_points: SetPoints
    envelopes: Envelopes
    exogenous: Exogenous
    interval: Interval

    def carried(self) -> Carried:
        """Return what comes of it; with inverters, where devices, laws and grid have settled."""
        if self.portfolio.inverter is not None:
            return self._settled(self.portfolio.inverter)
        after, delivery = self._delivered(self.exogenous)
        return Carried(after, delivery, self.solve(delivery.net_kw, delivery.q_kvar), delivery.q_kvar, np.zeros(()))

    def _delivered(self, exogenous: Exogenous) -> tuple[DeviceState, Delivery]:
        return deliver(self.portfolio, self.state, self.set_points, exogenous, self.interval, self.envelopes)

    def _settled(self, inverter: Inverter) -> Carried:
        """Let reactive powers and caps of generation, side by side (..., 2 n), settle."""

        def answer(held: np.ndarray) -> np.ndarray:
            carried = self._held(held)
            vm_pu = _voltages(carried.grid, self.bus)
            q_kvar = inverter.reactive_kvar(vm_pu, carried.delivery.net_kw)
            return np.concatenate([q_kvar, inverter.generation_cap_kw(vm_pu, q_kvar)], axis=-1)

        idle = np.zeros(len(inverter))
        # What would be too much feed-in for any voltages may be little after the law has held it back.
        rest = settle(answer, np.concatenate([idle, inverter.rated_kw]), np.concatenate([idle, idle]))
        return replace(self._held(rest.value), unsettled_kva=rest.gap_kva)

    def _held(self, held: np.ndarray) -> Carried:
        """Carry out with reactive powers and caps of generation held (..., 2 n)."""
        q_kvar, cap_kw = np.split(held, 2, axis=-1)
        available = self.exogenous.available_kw
        most_kw = np.where(self.portfolio.generation.curtailable, np.minimum(available, cap_kw), available)
        after, delivery = self._delivered(replace(self.exogenous, available_kw=most_kw))
        load_kvar = delivery.q_kvar
        delivery = replace(
            delivery,
            q_kvar=load_kvar + q_kvar,
            # What the inverter holds back is curtailed like anything else.
            curtailed_kw=available - delivery.generation_kw,
        )
        return Carried(after, delivery, self.solve(delivery.net_kw, delivery.q_kvar), load_kvar, np.zeros(()))


def reactive_at(inverter: Inverter, voltages: Callable[[np.ndarray], np.ndarray], net_kw: np.ndarray) -> Settled:
    """Return the reactive powers (..., n) that inverters settle at while net powers (..., n) are held.

    `voltages` gives the voltages (..., n) that reactive powers (..., n) of inverters lead to, NaN where there are none.
    P(U) is left aside: held net powers are what remains after it.
    """
    return settle(lambda q_kvar: inverter.reactive_kvar(voltages(q_kvar), net_kw), np.zeros(net_kw.shape))


def _voltages(grid: GridState | Diverged, bus: np.ndarray) -> np.ndarray:
    """Return the voltages at the buses of prosumers (..., n), NaN where there is no solution."""
    return np.full(len(bus), np.nan) if isinstance(grid, Diverged) else grid.vm_pu[..., bus]
