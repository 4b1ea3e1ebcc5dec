"""Points inside a box of bands that are worse than its corners, because somebody would not help there.

Two things make a voltage fall with somebody's feed-in, and both need a common reactance, such as that of a transformer.
The one is current: with angles theta the sensitivity is not R but, to second order,

    R_ij - X_ij (theta_j - theta_i) - sum_k X_ik p_k X_kj

The other is local control. Whoever feeds in and draws reactive power relieves everybody behind a common transformer
more by the one than he loads them by the other. So the voltage of somebody else can be highest when he does not feed
in: not at the corner at which everybody is at the upper edge. With laws ``q = law(v, p)`` and linear voltages
``v = R p + X q`` a change of net powers moves voltages by ``(I + X K)^-1 (R - X T) dp``, where -K is the slope of the
laws by voltage and -T by power: under cos phi(P), where K is 0, the sensitivity is R - tan(phi) X.

For each bus near its limit everybody is put where that makes it worst, and AC power flow says what comes of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from cosim.models.devices.inverter import Inverter
from cosim.models.envelope import Envelopes
from cosim.models.grid.branch_flow import BranchFlow, branch_flow
from cosim.models.grid.kernel_crest import Paths, potentials
from cosim.models.grid.linear import LinDistFlow, lindistflow
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import Diverged, GridState, Limits
from cosim.models.optimisation.kernel_allocation_tree import Tree, gather
from cosim.models.step import Community

# A linear estimate is believed but for this much: factor and voltage.
DOUBT: Final = 1.5
DOUBT_PU: Final = 1e-3
NEGLIGIBLE_PU: Final = 1e-7
SWEEPS: Final = 3
MOST_POINTS: Final = 16
MOST_NUMBERS: Final = 4e6
# Over this much voltage a law's slope is measured.
SPAN_PU: Final = 1e-3


@dataclass(frozen=True)
class Adverse:
    """Finds such points for one community, with inverters under local control or without."""

    community: Community
    inverter: Inverter | None
    flow: PowerFlow
    limits: Limits

    @cached_property
    def _linear(self) -> LinDistFlow:
        return lindistflow(self.flow.admittance())

    def points(self, bands: Envelopes, state: GridState, passive_kw: np.ndarray, *, upper: bool) -> np.ndarray:
        """Return net powers (k, n) that are worse for some bus than the corner with a state, k = 0 if none is.

        With `upper` everybody is at the upper edges there, else at the lower ones, beside `passive_kw` (buses,).
        """
        sign, edge = (1.0, self.limits.vm_max_pu) if upper else (-1.0, -self.limits.vm_min_pu)
        p_kw = self.community.at_buses(bands.upper_kw if upper else bands.lower_kw) + passive_kw
        if self.inverter is None:
            return self._crests(bands, state, p_kw, sign, edge)
        return self._corners(bands, state, p_kw, sign, edge)

    def _corners(self, bands: Envelopes, state: GridState, p_kw: np.ndarray, sign: float, edge: float) -> np.ndarray:
        """Return corners and bends of the box at which voltages near their limit are worst (k, n), with inverters."""
        bend_kw = np.clip(self._bend_kw, bands.lower_kw, bands.upper_kw)
        stages, corner = np.stack([bands.lower_kw, bend_kw, bands.upper_kw]), 2 if sign > 0 else 0
        worse = sign * self._levels(stages, state, p_kw)
        gain = worse.max(axis=0) - worse[corner]
        potential = gain.sum(axis=1)
        near = sign * state.vm_pu + DOUBT * potential + DOUBT_PU > edge
        rows = np.flatnonzero(near & (potential > NEGLIGIBLE_PU) & state.energised)
        # The most endangered first; equal ones in the order of buses.
        rows = rows[np.argsort(-(sign * state.vm_pu + potential)[rows], kind="stable")]
        chosen = np.where(gain[rows] > NEGLIGIBLE_PU / len(stages.T), worse[:, rows].argmax(axis=0), corner)
        known = dict.fromkeys(map(bytes, chosen.astype(np.uint8)))
        picks = [np.frombuffer(pick, np.uint8) for pick in known][:MOST_POINTS]
        return np.array([stages[pick, np.arange(len(pick))] for pick in picks]).reshape(-1, stages.shape[1])

    @cached_property
    def _bend_kw(self) -> np.ndarray:
        """Net powers (n,) above which inverters begin to draw."""
        assert self.inverter is not None
        law = self.inverter.control.cos_phi_p
        return np.zeros(len(self.inverter)) if law is None else law.x[0] * self.inverter.rated_kw

    def _by_q(self, state: GridState) -> np.ndarray:
        """Return how voltages rise with each one's reactive power, (B, n) pu per kvar."""
        rise: np.ndarray = self._linear.x[:, self.community.bus] / _twice(state)
        return rise

    def _by_p(self, state: GridState, p_kw: np.ndarray, by_q: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
        """Return how the voltages of some buses rise with each one's net power (k, n) pu per kW."""
        bus, twice = self.community.bus, _twice(state)[rows]
        turned = by_q[rows] * (state.va_rad[bus] - state.va_rad[rows, None])
        drawn = (self._linear.x[rows] / twice * p_kw) @ by_q
        rise: np.ndarray = self._linear.r[rows][:, bus] / twice - turned - drawn
        return rise

    def _crests(self, bands: Envelopes, state: GridState, p_kw: np.ndarray, sign: float, edge: float) -> np.ndarray:
        """Return where voltages near their limit are worst (k, n), without inverters.

        To second order a voltage is concave in net powers, so that its crest may lie inside the box: everybody in turn
        moves to where the others make it worst for the bus.
        """
        begin, other = (bands.upper_kw, bands.lower_kw) if sign > 0 else (bands.lower_kw, bands.upper_kw)
        height = sign * state.vm_pu

        def near(potential: np.ndarray) -> np.ndarray:
            return (height + DOUBT * potential + DOUBT_PU > edge) & (potential > NEGLIGIBLE_PU) & state.energised

        rows = self._near(bands, state, p_kw, near)
        if not len(rows):
            return np.zeros((0, len(begin)))
        by_q = self._by_q(state)
        by_p, potential = self._by_p(state, p_kw, by_q, rows), np.zeros(len(height))
        potential[rows] = np.maximum(sign * by_p * (other - begin), 0.0).sum(axis=1)
        kept = near(potential)[rows]
        order = np.argsort(-(height + potential)[rows[kept]], kind="stable")
        most = max(MOST_POINTS, int(MOST_NUMBERS / max(len(begin), 1) ** 2))
        rows, slope = rows[kept][order][:most], by_p[kept][order][:most]
        if not len(rows):
            return np.zeros((0, len(begin)))
        reach, among = by_q[rows], by_q[self.community.bus]
        bend = reach[:, :, None] * among + reach[:, None, :] * among - reach[:, :, None] * reach[:, None, :]
        powers, level = np.tile(begin, (len(rows), 1)), sign * state.vm_pu[rows]
        for one in np.tile(np.arange(len(begin)), SWEEPS).tolist():
            edges = bands.lower_kw[one] - powers[:, one], bands.upper_kw[one] - powers[:, one]
            crest = np.clip(slope[:, one] / np.maximum(bend[:, one, one], NEGLIGIBLE_PU**2), *edges)
            moves = np.stack([np.zeros(len(rows)), *edges, crest])
            gained = sign * (slope[:, one] * moves - bend[:, one, one] * moves**2 / 2.0)
            move = moves[gained.argmax(axis=0), np.arange(len(rows))]
            level = level + gained.max(axis=0)
            powers[:, one] += move
            slope = slope - bend[:, one] * move[:, None]
        worst = np.argsort(-level, kind="stable")[:MOST_POINTS]
        return np.unique(powers[worst[level[worst] + DOUBT_PU > edge]], axis=0)

    @cached_property
    def _tree(self) -> BranchFlow | None:
        """The feeder as a tree, None where it is none."""
        tree = branch_flow(self.flow.admittance())
        return None if tree is None or np.any(tree.rise_q < 0.0) else tree

    @cached_property
    def _paths(self) -> Paths:
        assert self._tree is not None
        tree = self._tree
        count = len(tree.parent)
        by_p, by_q, first = np.zeros(count + 1), np.zeros(count + 1), np.arange(count)
        for node, above in enumerate(tree.parent.tolist()):
            by_p[node], by_q[node] = by_p[above] + tree.rise_p[node], by_q[above] + tree.rise_q[node]
            first[node] = first[above] if above < count else node
        end = np.searchsorted(first, first, side="right")
        return Paths(tree.parent, tree.rise_q, by_p, by_q, first, end)

    def _near(
        self, bands: Envelopes, state: GridState, p_kw: np.ndarray, near: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Return the buses (k,) that are `near` their limit by what moves could make of voltages; all if not a tree.

        Between nodes of a tree ``X_ik X_kj <= X_ij X_kk``, so the sensitivity is ``R_ij - c X_ij`` or more, with c the
        widest angle of the block and ``sum_k X_kk p_k`` over who feeds in there. R_ij and X_ij are those of the node m
        where the ways to i and j part, and what all bands make of ``max(c X_m - R_m, 0)`` is one sweep over the tree.
        Buses that this bound does not clear are looked at one by one.
        """
        if self._tree is None:
            return np.arange(len(p_kw))
        paths, place, count = self._paths, self._tree.place, len(self._tree.parent)
        block = np.append(paths.first, count)
        scale = self._linear.no_load_vm2 / _twice(state)[:, 0]
        drawn = np.bincount(place, p_kw * scale, count + 1)
        wide = np.bincount(place, self.community.at_buses(bands.upper_kw - bands.lower_kw), count + 1)
        least, most, angle = np.zeros(count + 1), np.zeros(count + 1), np.zeros(count + 1)
        angle[place] = state.va_rad
        np.minimum.at(least, block[place], state.va_rad)
        np.maximum.at(most, block[place], state.va_rad)
        turned = np.bincount(block[place], np.maximum(p_kw, 0.0) * paths.by_q[place] * scale, count + 1)
        short = np.maximum((most - least + turned)[block] * paths.by_q - paths.by_p, 0.0)
        flow, level = np.empty(count + 1), np.empty(count + 1)
        gather(Tree(paths.parent, short[:-1] - short[paths.parent], np.arange(count)), wide[:-1], flow, level)
        rows = np.flatnonzero(near(scale * level[place]))
        potential, found = np.zeros(len(p_kw)), np.empty(len(rows))
        potentials(paths, place[rows], angle, drawn, wide, found)
        potential[rows] = scale[rows] * found
        return np.flatnonzero(near(potential))

    def _levels(self, stages: np.ndarray, state: GridState, p_kw: np.ndarray) -> np.ndarray:
        """Return how far each bus's voltage rises with each one's net power, at three stages of it (3, B, n)."""
        assert self.inverter is not None
        by_q = self._by_q(state)
        return self._controlled(self.inverter, stages, state, self._by_p(state, p_kw, by_q, slice(None)), by_q)

    def _controlled(
        self, inverter: Inverter, stages: np.ndarray, state: GridState, by_p: np.ndarray, by_q: np.ndarray
    ) -> np.ndarray:
        """Return the same with inverters that answer, for sensitivities (B, n) without them."""
        bus, at_bus = self.community.bus, state.vm_pu[self.community.bus]
        above, below = (inverter.reactive_kvar(at_bus + step, stages[2]) for step in (SPAN_PU / 2, -SPAN_PU / 2))
        slope_v = (below - above) / SPAN_PU
        drawn = inverter.reactive_kvar(at_bus, stages[1]) - inverter.reactive_kvar(at_bus, stages[2])
        slope_p = drawn / np.maximum(stages[2] - stages[1], NEGLIGIBLE_PU)
        loop = np.eye(len(bus)) + by_q[bus] * slope_v

        def closed(open_loop: np.ndarray) -> np.ndarray:
            own = np.linalg.solve(loop, open_loop[bus])
            return open_loop - (by_q * slope_v) @ own

        at_bend = closed(by_p) * (stages[1] - stages[0])
        return np.stack(
            [np.zeros_like(at_bend), at_bend, at_bend + closed(by_p - by_q * slope_p) * (stages[2] - stages[1])]
        )


def _twice(state: GridState) -> np.ndarray:
    """Return twice the voltages (B, 1), 2 where there are none."""
    return 2.0 * np.where(state.energised, state.vm_pu, 1.0)[:, None]


def worst_of(states: list[GridState | Diverged], *, upper: bool) -> GridState | Diverged:
    """Return the first state with each bus's worst voltage, and each branch's worst loading, of all of them."""
    solved = [state for state in states if isinstance(state, GridState)]
    if len(solved) < len(states):
        return next(state for state in states if isinstance(state, Diverged))
    pick = np.max if upper else np.min
    return replace(
        solved[0],
        vm_pu=pick([state.vm_pu for state in solved], axis=0),
        branch_loading_percent=np.max([state.branch_loading_percent for state in solved], axis=0),
    )
