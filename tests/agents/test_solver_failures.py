"""Solvers that fail at the n-th call: what they return is not used, the named fallback acts, and the books balance.

Money, energy and states of charge are tested in every interval of every run, as always: a run that ends has kept them.
"""

import numpy as np
import pytest
from scipy import sparse

from cosim.agents.prosumer.bidding.predictive import Predictive
from cosim.clock import Clock
from cosim.models.optimisation import (
    allocation,
    kernel_quadratic,
    kernel_schedule,
    packing,
    quadratic,
    schedule_rows,
    solve,
)
from cosim.models.optimisation.allocation import AllocationProblem, allocate
from cosim.models.optimisation.packing import Packed
from cosim.models.optimisation.robust_rows import Rows
from cosim.models.optimisation.schedule_osqp import OsqpScheduler
from cosim.models.optimisation.solve import Failed, OsqpProgram, Solved, solve_interior_point

CLARABEL = [
    "AlmostSolved",
    "PrimalInfeasible",
    "DualInfeasible",
    "MaxIterations",
    "MaxTime",
    "NumericalError",
    "InsufficientProgress",
    "Unsolved",
]
OSQP = [
    "solved inaccurate",
    "primal infeasible",
    "primal infeasible inaccurate",
    "dual infeasible",
    "maximum iterations reached",
    "time limit reached",
    "problem non convex",
    "interrupted",
    "unsolved",
]
GARBAGE = {"NaN": np.nan, "infinity": np.inf, "huge": 1e12, "nothing": 0.0}
FAST = (1, 2, 3, 5, 8, 13)
NEGOTIATED = {
    "operator__envelopes": "negotiated",
    "people__negotiation": "two_stage",
    "negotiation__day_gate": False,
    "negotiation__steps": 2,
    "negotiation__rounds": 4,
}
CROWDED = {"people__pv_scale": 20.0, "grid__vm_max_pu": 1.0112, "operator__envelopes": "fair"}


class Counted:
    """A solver's door: counts its calls and fails in the n-th, whatever the solver would have said."""

    def __init__(self, monkeypatch, place, name, fail, at):
        self.calls = 0
        door = getattr(place, name)

        def asked(*args, **kwargs):
            self.calls += 1
            answer = door(*args, **kwargs)
            return fail(answer) if self.calls == at else answer

        monkeypatch.setattr(place, name, asked)


def stalled(filling, status=kernel_schedule.STALLED):
    """Return a failure of the kernel that plans: every lane without an optimum, and numbers that mean nothing."""

    def fail(answer):
        out, statuses = answer
        return np.full_like(out, filling), np.full_like(statuses, status)

    return fail


def unsolved(filling):
    """Return a failure of the kernel of quadratic programs."""

    def fail(answer):
        out, solved, iterations = answer
        return np.full_like(out, filling), np.zeros_like(solved), iterations

    return fail


def unpacked(filling):
    """Return a failure of those who share room."""
    return lambda packed: Packed(np.full_like(packed.z, filling), np.full_like(packed.dual, filling), False, 60)


def refused(_):
    """Return a failure of the interior point behind the guarded door."""
    return Failed("NumericalError", "clarabel: NumericalError after 7 iterations")


def digest(short_runs, intervals=2, *, over=lambda: False, **how):
    """Return the result hash of a run of predictive prosumers, which may stop two intervals after it is `over`."""
    world, left = short_runs.world(intervals, **{"people__strategy": "predictive", **how}), [2]

    def goes_on(_now):
        left[0] -= over()
        return left[0] > 0

    Clock(world, None, goes_on).run()
    return world.state.digest


def both_doors(monkeypatch, at, fail):
    """Fail in the n-th call of the kernel that plans, and leave the exact solver no better."""
    monkeypatch.setattr(schedule_rows, "solve_interior_point", lambda *_: refused(None))
    return Counted(monkeypatch, kernel_schedule, "solve", fail, at)


@pytest.mark.parametrize("at", FAST[:3])
def test_a_kernel_that_stalls_is_replaced_by_the_exact_solver(short_runs, monkeypatch, at):
    """At the n-th call every lane stalls: whatever numbers stood there, the interior point's are used."""
    found = set()
    for filling in (np.nan, 1e12):
        with monkeypatch.context() as patch:
            counted = Counted(patch, kernel_schedule, "solve", stalled(filling), at)
            found.add(digest(short_runs))
            assert counted.calls >= at
    assert len(found) == 1


def _holds(short_runs, monkeypatch, at, **how) -> bool:
    """Say whether plans that nobody finds at the n-th call end in the named fallback, whatever was returned."""
    found = set()
    for filling, status in ((np.nan, kernel_schedule.STALLED), (1e12, kernel_schedule.IMPOSSIBLE)):
        with monkeypatch.context() as patch:
            counted = both_doors(patch, at, stalled(filling, status))
            found.add(digest(short_runs, 90, over=lambda counted=counted: counted.calls >= at, **how))
            assert counted.calls >= at
    return len(found) == 1


@pytest.mark.parametrize("at", FAST)
def test_where_nobody_finds_a_plan_the_devices_go_on(short_runs, monkeypatch, at):
    """Kernel and exact solver fail in one call: cars charge on arrival, batteries stand idle, the run goes on."""
    assert _holds(short_runs, monkeypatch, at)


@pytest.mark.campaign
def test_where_nobody_finds_a_plan_at_any_call(short_runs, monkeypatch, campaign_row):
    """The same for all n < 200, everybody planning for itself, so that a few intervals have so many calls."""
    failed = [n for n in range(1, 200) if not _holds(short_runs, monkeypatch, n, people__strategy="predictive_one")]
    campaign_row("C", 2 * 199, len(failed), "planning fails at call n: kernel and exact solver")
    assert failed == []


def test_with_no_solver_at_all_the_run_is_that_of_its_fallbacks(short_runs, monkeypatch):
    """Every call fails: the run ends, no plan counts as solved, and both ways of planning come to the same."""
    monkeypatch.setattr(schedule_rows, "solve_interior_point", lambda *_: refused(None))
    real = kernel_schedule.solve
    monkeypatch.setattr(kernel_schedule, "solve", lambda *args, **more: stalled(np.nan)(real(*args, **more)))
    without = digest(short_runs)
    monkeypatch.setattr(OsqpProgram, "solve", lambda *_: Failed("unsolved", "osqp: unsolved"))
    monkeypatch.setattr("cosim.models.optimisation.schedule_osqp.solve_interior_point", lambda *_: refused(None))
    monkeypatch.setattr(Predictive.__dataclass_fields__["scheduler"], "default_factory", OsqpScheduler)
    assert digest(short_runs) == without


@pytest.mark.parametrize("at", [1, 2, 5])
@pytest.mark.parametrize("both", [False, True], ids=["kernel", "kernel and exact solver"])
def test_negotiations_bear_programs_that_nobody_solves(short_runs, monkeypatch, at, both):
    """At the n-th call no program of a round is solved: the last bid or the reserved room stands; nothing more."""
    found = set()
    for filling in (np.nan, 1e12):
        with monkeypatch.context() as patch:
            counted = Counted(patch, kernel_quadratic, "solve", unsolved(filling), at)
            if both:
                patch.setattr(solve, "solve_interior_point", lambda *_: refused(None))
            found.add(digest(short_runs, 1, **NEGOTIATED))
            assert counted.calls >= at
    assert len(found) == 1


@pytest.mark.campaign
def test_negotiations_bear_programs_that_nobody_solves_at_any_call(short_runs, monkeypatch, campaign_row):
    """The same for all n < 200 that a run of some intervals has."""
    with monkeypatch.context() as patch:
        counted = Counted(patch, kernel_quadratic, "solve", unsolved(np.nan), 0)
        digest(short_runs, 4, **NEGOTIATED)
    failed = []
    for at in range(1, min(counted.calls + 1, 200)):
        found = set()
        for filling in (np.nan, 1e12):
            with monkeypatch.context() as patch:
                Counted(patch, kernel_quadratic, "solve", unsolved(filling), at)
                patch.setattr(solve, "solve_interior_point", lambda *_: refused(None))
                found.add(digest(short_runs, 4, **NEGOTIATED))
        failed += [at] if len(found) > 1 else []
    campaign_row("C", 2 * min(counted.calls, 199), len(failed), "programs of negotiations fail at call n")
    assert failed == []


@pytest.mark.parametrize("at", [1, 2])
def test_where_room_cannot_be_shared_fairly_everybody_gets_the_same(short_runs, monkeypatch, at):
    """The n-th allocation is not solved: the bands are those of equal shares, and the corners hold as always."""
    found = set()
    for filling in (np.nan, 1e12):
        with monkeypatch.context() as patch:
            counted = [Counted(patch, allocation, name, unpacked(filling), at) for name in ("share_on_tree", "pack")]
            found.add(digest(short_runs, 2, **CROWDED))
            assert max(one.calls for one in counted) >= at
    assert len(found) == 1


def crowded_rows():
    """Return two connection points that want more than a row allows."""
    rows = Rows(np.array([[1.0, 2.0]]), np.array([-np.inf]), np.array([3.0]))
    return AllocationProblem(np.zeros(2), np.zeros(2), np.array([5.0, 5.0]), rows)


@pytest.mark.parametrize("filling", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("told", [True, False], ids=["solved", "not solved"])
def test_an_allocation_is_looked_at_before_it_is_used(monkeypatch, filling, told):
    """Shares that are no numbers or break a row are replaced by equal ones, even if they came as solved."""
    problem = crowded_rows()
    monkeypatch.setattr(allocation, "pack", lambda *_: Packed(np.full(4, filling), np.zeros(2), told, 60))
    found = allocate("log", problem)
    if told and filling == 0.0:
        assert found.solved  # nothing for anybody is no optimum, but it is safe
    else:
        assert not found.solved
        assert found.reason == "no proved optimum: everybody gets the same"
        assert np.array_equal(found.upper_kw, allocate("equal", problem).upper_kw)


def small_program():
    """Return a program in two variables: P, q, A, lower, upper."""
    p = sparse.csc_matrix(np.diag([2.0, 1.0]))
    a = sparse.csc_matrix(np.array([[1.0, 1.0], [1.0, 0.0]]))
    return p, np.array([-1.0, -1.0]), a, np.array([1.0, -np.inf]), np.array([1.0, 0.4])


@pytest.mark.parametrize("status", CLARABEL)
def test_every_status_of_the_interior_point_but_solved_is_a_failure(monkeypatch, status):
    """The point is not looked at, however good it is."""
    real = __import__("clarabel").DefaultSolver

    class Doubtful:
        def __init__(self, *given):
            self._answer = real(*given).solve()

        def solve(self):
            return type("Answer", (), {**_parts(self._answer), "status": status})()

    monkeypatch.setattr("clarabel.DefaultSolver", Doubtful)
    outcome = solve_interior_point(*small_program())
    assert isinstance(outcome, Failed)
    assert outcome.status == status


@pytest.mark.parametrize("filling", GARBAGE.values(), ids=GARBAGE)
def test_an_interior_point_that_lies_is_found_out(monkeypatch, filling):
    """Status solved and small residuals told, but a point that is none: the door works the residuals out itself."""
    real = __import__("clarabel").DefaultSolver

    class Lying:
        def __init__(self, *given):
            self._answer = real(*given).solve()

        def solve(self):
            parts = _parts(self._answer)
            return type("Answer", (), {**parts, "x": np.full(len(parts["x"]), filling)})()

    monkeypatch.setattr("clarabel.DefaultSolver", Lying)
    outcome = solve_interior_point(*small_program())
    assert isinstance(outcome, Failed)
    assert outcome.status == "inaccurate"


def _parts(answer):
    return {name: getattr(answer, name) for name in ("status", "x", "z", "r_prim", "r_dual", "iterations")}


@pytest.mark.parametrize("status", OSQP)
def test_every_status_of_the_splitting_but_solved_is_a_failure(monkeypatch, status):
    """OSQP always returns a point; only a solved one is looked at, and one that is none is found out."""
    p, q, a, lower, upper = small_program()
    program = OsqpProgram(p, a)
    sound = program.solve(p.data, q, a.data, lower, upper)
    assert isinstance(sound, Solved)
    real = program._solver.solve

    def answering(**changes):
        def answered(**_):
            answer = real(raise_error=False)
            names = ("status", "iter", "prim_res", "dual_res")
            info = {name: getattr(answer.info, name) for name in names} | changes.get("info", {})
            return type("Answer", (), {"x": changes.get("x", answer.x), "y": answer.y, "info": type("I", (), info)})()

        return answered

    monkeypatch.setattr(program._solver, "solve", answering(info={"status": status}))
    assert program.solve(p.data, q, a.data, lower, upper).status == status
    monkeypatch.setattr(program._solver, "solve", answering(x=np.full(2, 7.0)))
    assert program.solve(p.data, q, a.data, lower, upper).status == "inaccurate"


def test_the_doors_are_all_that_a_run_solves_by(short_runs, monkeypatch):
    """With every door shut no solver is asked in a run: there is no way around them."""
    shut = {"calls": 0}

    def never(*_, **__):
        shut["calls"] += 1
        raise AssertionError("a solver was asked behind a door")

    for place, name in ((solve, "solve_interior_point"), (schedule_rows, "solve_interior_point")):
        monkeypatch.setattr(place, name, lambda *_: refused(None))
    monkeypatch.setattr("clarabel.DefaultSolver", never)
    monkeypatch.setattr("osqp.OSQP", never)
    monkeypatch.setattr("scipy.optimize.linprog", never)
    monkeypatch.setattr("cvxpy.Problem.solve", never)
    real = kernel_schedule.solve, kernel_quadratic.solve
    monkeypatch.setattr(kernel_schedule, "solve", lambda *args, **more: stalled(np.nan)(real[0](*args, **more)))
    monkeypatch.setattr(kernel_quadratic, "solve", lambda *args, **more: unsolved(np.nan)(real[1](*args, **more)))
    assert packing.pack is allocation.pack
    assert quadratic.solve_quadratic
    digest(short_runs, 1, **NEGOTIATED)
    digest(short_runs, 1, **CROWDED)
    assert shut["calls"] == 0
