"""Can a network carry these powers at all? Finds unit mistakes, not congestion: far beyond any state that exists."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from scipy.sparse.linalg import splu

from cosim.models.errors import Fault
from cosim.models.grid.admittance import Admittance
from cosim.models.grid.feeder import Feeder

# A single load finds its limit at |dV| = V0 / 4: at this drop a tenth of the power is already too much.
MOST_DROP_PU: Final = 5.0
MOST_OVERLOAD: Final = 20.0


def carrying_faults(
    feeder: Feeder, admittance: Admittance, peak_kva: np.ndarray, *, file: str, what: str
) -> Iterator[Fault]:
    """Yield what the feeder could never carry of peak powers (B,) in kVA, all drawn at once.

    The drop of voltage is the first step of the Z-bus method, |Z conj(S / V0)|; a bus may not draw more than 20 times
    what the branches around it are rated for.
    """
    rating = np.bincount(feeder.branch_from, feeder.branch_rate_kva, len(peak_kva))
    rating += np.bincount(feeder.branch_to, feeder.branch_rate_kva, len(peak_kva))
    over = peak_kva > MOST_OVERLOAD * np.where(rating > 0, rating, np.inf)
    over[feeder.slack] = False
    for bus in np.flatnonzero(over):
        allowed = (
            f"over {MOST_OVERLOAD:g} times the {rating[bus]:,.0f} kVA of the branches there; are the units kW and kVA?"
        )
        yield Fault(file, f"{what} at bus {feeder.bus_ids[bus]}", f"{peak_kva[bus]:,.0f} kVA", allowed)
    drop = _drop_pu(admittance, peak_kva)
    worst = int(drop.argmax())
    if drop[worst] > MOST_DROP_PU and not over.any():
        allowed = (
            f"{feeder.name} cannot carry a tenth of it (its voltage would drop by {drop[worst]:,.3g} pu "
            f"at bus {feeder.bus_ids[worst]}); are powers in kW and impedances in ohm?"
        )
        yield Fault(file, f"{what} in all", f"{peak_kva.sum():,.0f} kVA", allowed)


def _drop_pu(admittance: Admittance, peak_kva: np.ndarray) -> np.ndarray:
    """Return a linear estimate of each bus's drop of voltage (B,), 0 where there is no voltage to lose."""
    drop = np.zeros(admittance.size)
    if len(admittance.pq):
        power = admittance.gather(peak_kva, np.zeros(len(peak_kva)))[admittance.pq]
        solver = splu(admittance.ybus[admittance.pq][:, admittance.pq].tocsc())
        drop[admittance.pq] = np.abs(solver.solve(np.conj(power / admittance.no_load[admittance.pq])))
    return np.where(admittance.energised, drop[np.maximum(admittance.internal, 0)], 0.0)
