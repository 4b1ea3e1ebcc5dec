"""Proof that no radial state loses less: all that could are listed and judged by AC power flow."""

from dataclasses import dataclass

import numpy as np

from cosim.models.grid.kernel_spanning import UNFINISHED, radial_states
from cosim.models.grid.reconfiguration.situation import Situation
from cosim.models.grid.reconfiguration.starts import incidence, least_loss_flow

MOST_STATES = 500_000
MOST_PARTIAL = 3_000_000
SLACKENED = 1e-6  # of the limit, for rounding in the bounds


@dataclass(frozen=True, eq=False)
class Proven:
    """The state of least merit among all, and that merit in EUR."""

    closed: np.ndarray
    merit_eur: float


def only_consumption(situation: Situation) -> bool:
    """Say whether losses without voltage drops are below those of AC power flow in every radial state.

    They are where every bus draws active and reactive power over impedances with r, x >= 0 and all slacks have one
    voltage: then no voltage is above theirs, and no branch carries less than what is consumed behind it.
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

    Where `only_consumption` holds, states are left out whose loss without voltage drops is above that merit;
    everywhere else all radial states are judged.
    """
    graph = situation.meshes
    opened = _candidates(situation, closed, merit_eur if only_consumption(situation) else np.inf)
    if opened is None:
        return None
    everything = closed | situation.free
    loops = opened.shape[1]
    for first in range(0, len(opened), 4096):
        some = np.tile(everything, (len(opened[first : first + 4096]), 1))
        some[np.arange(len(some))[:, None], opened[first : first + 4096]] = False
        assert (some.sum(axis=1) == graph.nodes - 1).all(), loops
        values = situation.merit_eur(some, situation.judge(some))
        best = int(np.argmin(values))
        if values[best] < merit_eur:
            closed, merit_eur = some[best], float(values[best])
    return Proven(closed, merit_eur)


def _candidates(situation: Situation, closed: np.ndarray, merit_eur: float) -> np.ndarray | None:
    """List what radial states below a merit have open (m, loops), None where there are too many."""
    graph, everything = situation.meshes, closed | situation.free
    loops = int(everything.sum()) - graph.nodes + 1
    opened = np.empty((MOST_STATES, loops), dtype=np.int64)
    if loops == 0:
        return opened[:1]
    conductance = 1.0 / np.maximum(situation.resistance, 1e-9 * max(situation.resistance.max(), 1e-300))
    drawn = lossless_currents(situation) * np.sqrt(situation.weight)[:, None]
    ends = incidence(graph)
    inverse = np.zeros((graph.nodes, graph.nodes))
    inverse[1:, 1:] = np.linalg.inv(((ends * np.where(everything, conductance, 0.0)) @ ends.T).toarray())
    potential = -drawn.reshape(-1, graph.nodes) @ inverse
    flow = least_loss_flow(situation, everything, drawn)
    bound = float((flow**2 @ situation.resistance).sum())
    found = radial_states(
        *graph.adjacency,
        graph.start,
        graph.end,
        everything,
        ~situation.free,
        conductance,
        inverse,
        potential,
        bound,
        merit_eur * (1.0 + SLACKENED),
        MOST_PARTIAL,
        opened,
    )
    return None if found == UNFINISHED else opened[:found]
