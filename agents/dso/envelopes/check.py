"""Does an envelope policy keep the contract? It is taken through made-up requests. Shipped to users.

It is played the way a run plays it: behind the operator's own guard, on a bundled feeder.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from cosim.agents.dso.curtailment import ProRata
from cosim.agents.dso.envelopes.policy import EnvelopePolicy
from cosim.agents.dso.office import GridOffice
from cosim.agents.dso.operator import Operator
from cosim.agents.prosumer.bidding.check import global_chance
from cosim.agents.prosumer.bidding.situations import homes
from cosim.encoding import decode, encode
from cosim.guard import Guard
from cosim.locking import freeze, locked
from cosim.messages import RoomRequest
from cosim.models.envelope import Envelopes
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.state import Limits
from cosim.models.step import Community
from cosim.models.time import Interval
from cosim.views import GrantView

FEEDER = "ieee33_bw"
BUSES = np.array([18, 22, 25, 33])
# Ratings large enough that the feeder cannot carry all of them at once.
RATING_SCALE = 100.0
BEYOND_KW = 1e-6


def check_policy(policy: object) -> list[str]:
    """Return how a policy breaks the contract, a sentence each; an empty list means that it keeps it.

    Found are: errors, grants of the wrong type or shape or with NaN, bands that are crossed, exclude firm power or
    go beyond the rating, writing into what is shown, use of the global generators, answers that depend on more than
    view, office and memory, and memory that is not saved or does not come back. How well bands protect the grid is not
    tested: a policy may promise nothing.
    """
    if not isinstance(policy, EnvelopePolicy):
        return [f"a {type(policy).__name__} is not an EnvelopePolicy"]
    office = _office()
    scenes = list(_scenes(office))
    try:
        with global_chance(seed=1) as touched:
            rehearsal = _Rehearsal(office, policy).play(scenes)
    except Exception as error:  # noqa: BLE001, whatever a policy does wrong is the finding
        return [f"cannot be begun: it raises {type(error).__name__}: {error}"]
    if rehearsal.faults:
        return rehearsal.faults
    if touched:
        return [f"draws from the global generator of {' and '.join(touched)}; policies have no chance"]
    with global_chance(seed=2):
        again = _Rehearsal(office, policy).play(scenes)
    for name, grant in rehearsal.grants.items():
        if again.grants[name] != grant:
            return [f"answers the same view and memory differently: grant, {name}"]
    return _forgotten(office, policy, scenes, rehearsal)


@dataclass
class _Rehearsal:
    """A policy behind an operator, and what came of the situations; the policy that was handed in stays as it was."""

    office: GridOffice
    policy: EnvelopePolicy
    grants: dict[str, bytes] = field(default_factory=dict)
    memories: dict[str, bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._guard = Guard()
        self._operator = Operator(copy.deepcopy(self.policy), ProRata(), self.office, self._guard)

    def play(self, scenes: list[tuple[str, GrantView]]) -> "_Rehearsal":
        """Ask for a grant in every situation; stop at the first that fails."""
        for name, view in scenes:
            self.memories[name] = encode(self._operator.memory())
            self.faults += [f"{event.detail} ({name})" for event in self._guard.take()]
            if self.faults:
                return self
            self.ask(name, view)
            if self.faults:
                return self
        return self

    def resume(self, memory: bytes) -> "_Rehearsal":
        """Take up a memory that was saved."""
        self._operator.restore(decode(memory))
        return self

    def ask(self, name: str, view: GrantView) -> None:
        """Ask for a grant and note what is wrong with it."""
        letter = self._operator.grant(locked(view))
        for event in self._guard.take():
            if event.cause.startswith("plugin_"):
                self.faults.append(f"{_sentence(event.cause, event.detail)} ({name})")
        bands = letter.envelopes
        self.grants[name] = encode([bands.lower_kw, bands.upper_kw])
        if not self.faults and (row := _beyond(bands, view, self.office.connection_kw)) is not None:
            self.faults.append(f"grant goes beyond the rating of the connection in row {row} ({name})")


def _sentence(cause: str, detail: str) -> str:
    if "read-only" in detail:
        return "grant writes into what it is shown"
    return f"grant raises {detail}" if cause == "plugin_raised" else detail


def _beyond(bands: Envelopes, view: GrantView, rating: np.ndarray) -> int | None:
    firm = view.request.firm_kw
    low = bands.lower_kw < np.minimum(-rating, firm) - BEYOND_KW
    high = bands.upper_kw > np.maximum(rating, firm) + BEYOND_KW
    return int(np.argmax(low | high)) if (low | high).any() else None


def _forgotten(
    office: GridOffice, policy: EnvelopePolicy, scenes: list[tuple[str, GrantView]], before: _Rehearsal
) -> list[str]:
    """Stop before every situation, go on with a new policy and the saved memory, and compare what it grants."""
    for name, view in scenes[1:]:
        again = _Rehearsal(office, policy).resume(before.memories[name])
        again.ask(name, view)
        if again.faults:
            return [f"after its memory was saved and loaded: {fault}" for fault in again.faults]
        if again.grants[name] != before.grants[name]:
            return [f"forgets: after its memory was saved and loaded it grants differently, {name}"]
    return []


def _office() -> GridOffice:
    feeder = load_feeder(FEEDER)
    community = Community(homes(RATING_SCALE), feeder.bus_positions(BUSES), len(feeder.bus_ids))
    freeze(community)
    return GridOffice(community, BatchFlow(feeder, 1.0), Limits())


def _scenes(office: GridOffice) -> Iterator[tuple[str, GrantView]]:
    """Yield requests that fit, that do not, that are absurd, and firm power that breaks limits by itself."""
    rating, none = office.connection_kw, np.zeros(len(BUSES))
    firm = -np.array([5.0, 20.0, 10.0, 0.0])
    yield "nobody asks for room", _asked(office, firm, firm, firm)
    yield "little room asked for", _asked(office, firm - 10.0, firm, firm + 10.0)
    yield "everybody asks for export", _asked(office, firm, firm, rating)
    yield "everybody asks for import", _asked(office, -rating, firm, firm)
    yield "everybody asks for everything", _asked(office, -rating, firm, rating)
    yield "one asks for everything", _asked(office, firm, firm, np.where(np.arange(4) == 0, rating, firm))
    yield "room without end", _asked(office, none - np.inf, firm, none + np.inf)
    yield "room asked for elsewhere", _asked(office, firm + 30.0, firm, firm + 40.0)
    yield "much passive load", _asked(office, -rating, firm, rating, passive_kw=-100.0)
    yield "firm power alone breaks limits", _asked(office, -rating, -0.9 * rating, rating)
    yield "everybody asks for everything again", _asked(office, -rating, firm, rating)


def _asked(
    office: GridOffice, lower_kw: np.ndarray, firm_kw: np.ndarray, upper_kw: np.ndarray, passive_kw: float = -20.0
) -> GrantView:
    """Return a view; passive load (kW a bus) stands at all buses but the slack's."""
    passive = np.full(office.community.buses, passive_kw)
    passive[office.flow.feeder.slack] = 0.0
    request = RoomRequest(0, lower_kw=lower_kw, upper_kw=upper_kw, firm_kw=firm_kw, reactive_kvar=0.3 * firm_kw)
    return GrantView(Interval(0, 0, 900), request, passive, 0.3 * passive)
