"""From the voltages of a solution to the state of the grid: magnitudes, flows, loadings and the energy balance."""

import numpy as np

from cosim.models.grid.admittance import Admittance
from cosim.models.grid.newton import Solution
from cosim.models.grid.state import GridState


def solved_state(admittance: Admittance, solution: Solution, p_kw: np.ndarray) -> GridState:
    """Read voltages, flows and the energy balance off a solution."""
    voltage = solution.voltage
    on, at = admittance.energised, np.maximum(admittance.internal, 0)
    current_f, current_t = admittance.yf @ voltage, admittance.yt @ voltage
    loading = np.maximum(np.abs(current_f) / admittance.rate_f, np.abs(current_t) / admittance.rate_t)
    drawn_kw = (voltage * np.conj(admittance.ybus @ voltage)).real * admittance.base_kva
    at_slack = on & np.isin(admittance.internal, admittance.ref)
    return GridState(
        vm_pu=np.where(on, np.abs(voltage)[at], 0.0),
        va_rad=np.where(on, np.angle(voltage)[at], 0.0),
        energised=on,
        branch_p_kw=(voltage[admittance.branch_f] * np.conj(current_f)).real * admittance.base_kva,
        branch_loading_percent=100.0 * loading,
        loss_kw=float(drawn_kw.sum()),
        # Read off the slack's own currents, so that the balance with injections and losses is a real check.
        slack_kw=float(drawn_kw[admittance.ref].sum() - p_kw[at_slack].sum()),
        unsupplied_kw=float(np.maximum(-p_kw[~on], 0.0).sum()),
        iterations=solution.iterations,
    )
