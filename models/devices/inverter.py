"""The inverter between generation and the connection point: PQ capability, and the local control that uses it.

Capability is a circle, a strip and a cone. Circle: ``P^2 + Q^2 <= S^2`` with priority for reactive power, so that what
the circle lacks is taken from generation. Strip: ``|Q| <= S sin(phi_max)``. Cone: ``|Q| <= P tan(phi_max)``, P being
what the connection point feeds in; it is left out for inverters that give reactive power at rest. Strip and cone meet
where the feed-in is S cos(phi_max): the power factor never falls below what is allowed (VDE-AR-N 4105:2018-11,
5.7.2: 0.90 above 4.6 kVA; IEEE Std 1547-2018, 5.2, category B: 44 % of S, which is cos phi 0.898 at full power).

Laws and cone look at the connection point (the reference point of applicability of IEEE Std 1547-2018, 4.2), not at the
terminals behind it: so the operator, who knows net powers only, knows the reactive power that comes with them.
"""

from dataclasses import dataclass

import numpy as np

from cosim.models.devices.local_control import (
    LocalControl,
    power_by_voltage_kw,
    reactive_by_feed_in_kvar,
    reactive_by_voltage_kvar,
)
from cosim.models.devices.span import check_column


@dataclass(frozen=True, slots=True)
class Inverter:
    """Static columns of inverters, and what holds for all of them.

    Attributes:
        rated_kw: rated active power of the generators (n,), 0 where there is none
        apparent_kva: rated apparent power S (n,), no less
        cos_phi_min: least power factor, in (0, 1]
        at_rest: whether reactive power is there without feed-in
        control: the laws they follow

    """

    rated_kw: np.ndarray
    apparent_kva: np.ndarray
    cos_phi_min: float
    at_rest: bool
    control: LocalControl

    def __post_init__(self) -> None:
        check_column("inverter.rated_kw", self.rated_kw, len(self.rated_kw))
        check_column("inverter.apparent_kva", self.apparent_kva, len(self.rated_kw))
        if np.any(self.apparent_kva < self.rated_kw):
            raise ValueError("inverter.apparent_kva is below inverter.rated_kw; allowed is the rating or more")
        if not 0.0 < self.cos_phi_min <= 1.0:
            raise ValueError(f"inverter.cos_phi_min is {self.cos_phi_min}; allowed is above 0, up to 1")

    def __len__(self) -> int:
        return len(self.rated_kw)

    @property
    def most_kvar(self) -> np.ndarray:
        """The strip: the most reactive power in either direction (n,)."""
        most: np.ndarray = self.apparent_kva * np.sqrt(1.0 - self.cos_phi_min**2)
        return most

    def reactive_limit_kvar(self, net_kw: np.ndarray) -> np.ndarray:
        """Return the most reactive power in either direction at net powers (..., n): strip and cone."""
        if self.at_rest:
            return np.broadcast_to(self.most_kvar, net_kw.shape)
        tangent = np.sqrt(1.0 - self.cos_phi_min**2) / self.cos_phi_min
        return np.minimum(self.most_kvar, tangent * np.maximum(net_kw, 0.0))

    def active_limit_kw(self, q_kvar: np.ndarray) -> np.ndarray:
        """Return what circle and rating leave of active power beside reactive power (..., n)."""
        return np.minimum(np.sqrt(np.maximum(self.apparent_kva**2 - q_kvar**2, 0.0)), self.rated_kw)

    def reactive_kvar(self, vm_pu: np.ndarray, net_kw: np.ndarray) -> np.ndarray:
        """Return the reactive power (..., n) that the laws want at voltages (..., n) and net powers (..., n)."""
        law, limit = self.control, self.reactive_limit_kvar(net_kw)
        if law.cos_phi_p is not None:
            wanted = reactive_by_feed_in_kvar(law.cos_phi_p, np.maximum(net_kw, 0.0), self.rated_kw)
        elif law.q_u is not None:
            wanted = reactive_by_voltage_kvar(law.q_u, vm_pu, self.most_kvar)
        else:
            wanted = np.zeros_like(vm_pu)
        return np.minimum(np.maximum(wanted, -limit), limit)

    def generation_cap_kw(self, vm_pu: np.ndarray, q_kvar: np.ndarray) -> np.ndarray:
        """Return what generation may be (..., n) at voltages (..., n) beside reactive power (..., n)."""
        cap = self.active_limit_kw(q_kvar)
        if self.control.p_u is None:
            return cap
        return np.minimum(cap, power_by_voltage_kw(self.control.p_u, vm_pu, self.rated_kw))
