"""Does a curtailment rule keep the contract? It is taken through made-up plans. Shipped to users.

It is asked the way an operator asks it, on a bundled feeder.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cosim.agents.dso.curtailment import CurtailmentRule
from cosim.agents.dso.office import GridOffice
from cosim.agents.prosumer.bidding.check import global_chance
from cosim.agents.prosumer.bidding.situations import homes
from cosim.guard import said
from cosim.locking import freeze
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.state import Limits
from cosim.models.step import Community, PassiveLoad

FEEDER = "ieee33_bw"
BUSES = np.array([18, 22, 25, 33])
# Ratings large enough that the feeder cannot carry all of them at once.
RATING_SCALE = 100.0
BEYOND_KW = 1e-6
# What AC power flow may be off by is no breach: that of the limits' own tolerance.
BREACH_PU = 1e-6


def check_rule(rule: object) -> list[str]:
    """Return how a curtailment rule breaks the contract, a sentence each; an empty list means that it keeps it.

    Found are: errors, answers of the wrong type or shape or with NaN, powers that are not between firm and nominated,
    plans that the grid does not carry although it carries firm power, writing into what is shown, use of the global
    generators, and answers that depend on more than the question. How fair a rule is, is not tested.
    """
    if not isinstance(rule, CurtailmentRule):
        return [f"a {type(rule).__name__} is not a CurtailmentRule"]
    office = _office()
    plans = list(_plans(office))
    with global_chance(seed=1) as touched:
        first = _play(copy.deepcopy(rule), office, plans)
    broken = [f"{sentence} ({name})" for name, (_, found) in first.items() for sentence in found]
    if broken:
        return broken
    if touched:
        return [f"draws from the global generator of {' and '.join(touched)}; rules have no chance"]
    with global_chance(seed=2):
        # In the other order, so that what a rule remembers of one plan shows in the next.
        again = _play(copy.deepcopy(rule), office, plans[::-1])
    for name, (answer, _) in first.items():
        if again[name][0].tobytes() != answer.tobytes():
            return [f"answers the same question differently ({name})"]
    return []


@dataclass(frozen=True)
class _Plan:
    """What was nominated (n,), what must be kept (n,), and what the passive customers draw."""

    name: str
    net_kw: np.ndarray
    firm_kw: np.ndarray
    reactive_kvar: np.ndarray
    passive: PassiveLoad


def _play(rule: CurtailmentRule, office: GridOffice, plans: list[_Plan]) -> dict[str, tuple[np.ndarray, list[str]]]:
    """Return the answer to every plan and what is wrong with it."""
    answers = {}
    for plan in plans:
        try:
            answer = rule.curtail(office, plan.net_kw, plan.firm_kw, plan.reactive_kvar, plan.passive)
            found = _faults(answer, office, plan)
        except Exception as error:  # noqa: BLE001, whatever a rule does wrong is the finding
            answer, found = np.empty(0), [_sentence(error)]
        answers[plan.name] = (np.array(answer) if not found else np.empty(0), found)
    return answers


def _sentence(error: Exception) -> str:
    if "read-only" in str(error):
        return "curtail writes into what it is shown"
    return f"curtail raises {type(error).__name__}: {said(error)}"


def _faults(answer: object, office: GridOffice, plan: _Plan) -> list[str]:
    count = len(plan.net_kw)
    if not isinstance(answer, np.ndarray) or answer.shape != (count,) or answer.dtype.kind not in "if":
        shown = f"{answer.dtype} {answer.shape}" if isinstance(answer, np.ndarray) else type(answer).__name__
        return [f"curtail returned {shown}; numbers ({count},) are needed"]
    if not np.isfinite(answer).all():
        return ["curtail returned NaN or infinity"]
    low, high = np.minimum(plan.firm_kw, plan.net_kw), np.maximum(plan.firm_kw, plan.net_kw)
    beyond = (answer < low - BEYOND_KW) | (answer > high + BEYOND_KW)
    if beyond.any():
        return [f"the power of row {int(beyond.argmax())} is not between firm and nominated"]
    firm, left = (
        office.breach(office.solve(net_kw, plan.reactive_kvar, plan.passive)) for net_kw in (plan.firm_kw, answer)
    )
    if firm == 0.0 and left > BREACH_PU:
        return ["what is left is not carried by the grid, which carries firm power"]
    return []


def _office() -> GridOffice:
    feeder = load_feeder(FEEDER)
    community = Community(homes(RATING_SCALE), feeder.bus_positions(BUSES), len(feeder.bus_ids))
    freeze(community)
    return GridOffice(community, BatchFlow(feeder, 1.0), Limits())


def _plans(office: GridOffice) -> Iterator[_Plan]:
    """Yield plans that fit, that do not in either direction, and firm power that breaks limits by itself."""
    rating = office.connection_kw
    firm = -np.array([5.0, 20.0, 10.0, 0.0])
    one = np.arange(len(BUSES)) == 0
    yield _plan(office, "a plan that fits", firm + 10.0, firm)
    yield _plan(office, "firm power is planned", firm, firm)
    yield _plan(office, "everybody exports", rating, firm)
    yield _plan(office, "everybody imports", -rating, firm)
    yield _plan(office, "one exports", np.where(one, rating, firm), firm)
    yield _plan(office, "some export a little, one imports much", np.where(one, -rating, firm + 5.0), firm)
    yield _plan(office, "firm power alone breaks limits", -rating, -0.9 * rating)
    yield _plan(office, "a plan without a solution", -20.0 * rating, firm)


def _plan(office: GridOffice, name: str, net_kw: np.ndarray, firm_kw: np.ndarray) -> _Plan:
    """Return a plan with 20 kW of passive load at all buses but the slack's, all of it read-only."""
    load = np.full(office.community.buses, -20.0)
    load[office.flow.feeder.slack] = 0.0
    plan = _Plan(name, net_kw.copy(), firm_kw.copy(), 0.3 * firm_kw, PassiveLoad(load, 0.3 * load))
    freeze(plan)
    return plan
