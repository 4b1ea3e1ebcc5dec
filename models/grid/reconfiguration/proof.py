"""Proof that no radial state loses less: all that could are listed and judged by AC power flow."""

from dataclasses import dataclass

import numpy as np

from cosim.models.grid.kernel_spanning import UNFINISHED, Electric, radial_states
from cosim.models.grid.reconfiguration.situation import Situation
from cosim.models.grid.reconfiguration.starts import incidence, least_loss_flow

MOST_STATES = 500_000
MOST_PARTIAL = 3_000_000
AT_ONCE = 4096
SLACKENED = 1e-6  # of the limit, for rounding in the bounds
# Below so much of the largest resistance, bounds are not trusted to that.
LEAST_RESISTANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Proven:
    """The state of least merit among all, and that merit in EUR."""

    closed: np.ndarray
    merit_eur: float


def only_consumption(situation: Situation) -> bool:
    """Say whether losses without voltage drops are below those of AC power flow in every radial state.

    They are where every bus draws active and reactive power over impedances with r, x >= 0: no voltage is then above
    the highest of the slacks, and no branch carries less than what is consumed behind it.
    """
    graph, sweeper = situation.meshes, situation.sweeper
    inner = graph.node > 0
    drawn = np.concatenate([situation.p_kw[:, inner], situation.q_kvar[:, inner]])
    x_ohm = sweeper.flow.feeder.network.x_ohm[graph.branch] if sweeper.series else np.array([-1.0])
    return bool((drawn <= 0.0).all() and (x_ohm >= 0.0).all() and (situation.resistance >= 0.0).all())


def lossless_currents(situation: Situation) -> np.ndarray:
    """Return currents that nodes draw at the highest slack voltage (2, H, N)."""
    volts = np.abs(situation.sweeper.flow.flow.admittance().v_slack).max()
    drawn = situation.meshes.at_nodes(-(situation.p_kw - 1j * situation.q_kvar)) / situation.sweeper.base_kva / volts
    return np.stack([drawn.real, drawn.imag])


def prove(situation: Situation, closed: np.ndarray, merit_eur: float) -> Proven | None:
    """Judge every radial state that may have a lower merit than a state (E,) with a given one; None if too many.

    Where losses without voltage drops are a bound, states are left out for which it is above that merit; everywhere
    else all radial states are judged.
    """
    opened = candidates(situation, closed, merit_eur)
    if opened is None:
        return None
    for first in range(0, len(opened), AT_ONCE):
        part = opened[first : first + AT_ONCE]
        some = np.tile(closed | situation.free, (len(part), 1))
        some[np.arange(len(part))[:, None], part] = False
        values = situation.merit_eur(some, situation.judge(some))
        best = int(np.argmin(values))
        if values[best] < merit_eur:
            closed, merit_eur = some[best], float(values[best])
    return Proven(closed, merit_eur)


def candidates(situation: Situation, closed: np.ndarray, merit_eur: float) -> np.ndarray | None:
    """List what radial states that may be below a merit have open (m, loops); None where there are too many."""
    graph, everything, resistance = situation.meshes, closed | situation.free, situation.resistance
    loops = int(everything.sum()) - graph.nodes + 1
    if loops == 0:
        return np.zeros((1, 0), dtype=np.int64)
    least = LEAST_RESISTANCE * float(resistance.max())
    trusted = only_consumption(situation) and bool((resistance >= least).all()) and least > 0.0
    conductance = 1.0 / np.maximum(resistance, least if least > 0.0 else 1.0)
    drawn = lossless_currents(situation) * np.sqrt(situation.weight)[:, None]
    ends = incidence(graph)
    inverse = np.zeros((graph.nodes, graph.nodes))
    inverse[1:, 1:] = np.linalg.inv(((ends * np.where(everything, conductance, 0.0)) @ ends.T).toarray())
    potential = -drawn.reshape(-1, graph.nodes) @ inverse
    bound = float((least_loss_flow(situation, everything, drawn) ** 2 @ resistance).sum())
    opened = np.empty((MOST_STATES, loops), dtype=np.int64)
    found = radial_states(
        graph.ends,
        Electric(conductance, inverse, potential),
        everything,
        ~situation.free,
        (bound, merit_eur * (1.0 + SLACKENED) if trusted else np.inf),
        MOST_PARTIAL,
        opened,
    )
    return None if found == UNFINISHED else opened[:found]
