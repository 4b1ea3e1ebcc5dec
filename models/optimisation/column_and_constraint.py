"""Two-stage problems by cuts: an independent route to the optimum, without the ambiguity set's dual form.

Zeng and Zhao 2013 (doi 10.1016/j.orl.2013.05.003): a master program knows every scenario's real time and the
worst probabilities met so far, ``eta >= sum_s probability_s Q_s``; the set answers its plan with the probabilities
that are worst for it, until what the master believes and what the set says agree.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cvxpy as cp
import numpy as np

from cosim.models.optimisation.two_stage import TwoStageProblem
from cosim.models.optimisation.two_stage_exact import Formulas, formulas, minimise

_ROUNDS = 100

Worst = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Returns the worst expectations (n,) of costs (n, K) and the probabilities (n, K) that make them."""


@dataclass(frozen=True, slots=True)
class CutAnswer:
    """What the cuts led to.

    Attributes:
        cost_eur: cost at worst of each plan (n,).
        bound_eur: what no plan can be below (n,).
        probability: the worst probabilities for each plan (n, K).
        rounds: masters solved for each prosumer (n,).
    """

    cost_eur: np.ndarray
    bound_eur: np.ndarray
    probability: np.ndarray
    rounds: np.ndarray


def solve_by_cuts(problem: TwoStageProblem, worst: Worst | None = None, *, gap_eur: float = 1e-5) -> CutAnswer:
    """Return the plans' costs of every prosumer, pulls included.

    Args:
        problem: what is asked; with `worst`, of its dual form only the nominal probabilities count.
        worst: the ambiguity set's answer; by default linear programs on its dual form.
        gap_eur: greatest difference between what a plan costs and what no plan can be below.

    Raises:
        RuntimeError: a master was not solved, or the cuts did not close the gap.
    """
    problem.check()
    worst = worst or problem.ambiguity.worst
    n = problem.prosumers
    masters = [_Master(formulas(problem, row), problem.ambiguity.nominal[row]) for row in range(n)]
    answer = CutAnswer(
        np.full(n, np.inf), np.full(n, -np.inf), problem.ambiguity.nominal.copy(), np.zeros(n, dtype=np.int64)
    )
    costs = np.zeros((n, problem.scenarios))
    for _ in range(_ROUNDS):
        for row in np.flatnonzero(answer.cost_eur - answer.bound_eur > gap_eur).tolist():
            answer.bound_eur[row], costs[row] = masters[row].solve()
            answer.rounds[row] += 1
        expected, probability = worst(costs)
        for row, master in enumerate(masters):
            cost = master.plan_cost() + expected[row]
            if cost < answer.cost_eur[row]:
                answer.cost_eur[row], answer.probability[row] = cost, probability[row]
            master.cut(probability[row])
        if np.all(answer.cost_eur - answer.bound_eur <= gap_eur):
            return answer
    raise RuntimeError(f"the cuts left a gap of {np.max(answer.cost_eur - answer.bound_eur):.1e} EUR")


class _Master:
    """One prosumer's program with the worst probabilities met so far."""

    def __init__(self, one: Formulas, nominal: np.ndarray) -> None:
        self._one = one
        self._worst = cp.Variable()
        self._cuts = [self._worst >= nominal @ one.scenario_costs]

    def solve(self) -> tuple[float, np.ndarray]:
        """Return the least cost under the cuts, and what the scenarios cost in it (K,)."""
        cost = self._one.first_stage + self._one.pull + self._worst
        least = minimise(cost, self._one.constraints + self._cuts)
        return least, self._one.scenario_costs.value

    def plan_cost(self) -> float:
        """Return what the plan costs beforehand, the pull included."""
        return float(self._one.first_stage.value + self._one.pull.value)

    def cut(self, probability: np.ndarray) -> None:
        """Take notice of probabilities (K,)."""
        self._cuts.append(self._worst >= probability @ self._one.scenario_costs)
