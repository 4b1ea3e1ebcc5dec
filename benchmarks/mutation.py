"""How many small mistakes in the code the tests notice: the mutation score of settlement, envelopes and journal.

A mutant is the code of a module with one thing changed: a comparison, a sign, a number, a condition, a value returned,
a statement left out. A mutant that no test fails for has survived. Each runs in a child of one process that has
imported everything: the code of the one function is exchanged in memory, no file is touched. What is defined as a
module is read (defaults, constants) is not changed; neither are texts, annotations and assertions.

    python -m benchmarks mutation             a sample of SAMPLE mutants a module, drawn with SEED
    python -m benchmarks mutation --most 9999 all of them

Kept mutation testers do not know a package whose folders lie elsewhere (`package-dir` in pyproject.toml).
"""

import ast
import contextlib
import gc
import importlib
import os
import random
import signal
import time
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SEED: Final = 1
SAMPLE: Final = 60
# A mutant that takes so much longer than the tests of its module has been noticed, too.
PATIENCE: Final = 10.0
LEAST_S: Final = 30.0
TESTS: Final = {
    "cosim.models.market.settlement": ("models/market/test_room_account.py", "models/market/test_settlement.py"),
    "cosim.models.market.ledger": ("models/market/test_settlement.py", "models/market/test_ledger.py"),
    "cosim.models.market.room_account": ("models/market/test_room_account.py", "models/market/test_settlement.py"),
    "cosim.models.envelope": ("models/test_envelope.py",),
    "cosim.agents.dso.envelopes.fair": ("agents/test_envelopes.py",),
    "cosim.agents.dso.corners": ("agents/test_corners.py",),
    "cosim.agents.dso.corner_errors": (
        "agents/test_corner_errors.py",
        "agents/test_corners.py",
        "agents/test_envelopes.py",
    ),
    "cosim.journal": ("cosim/test_journal.py", "cosim/test_resume.py"),
    "cosim.journal_database": ("cosim/test_journal.py",),
    "cosim.encoding": ("cosim/test_encoding.py",),
}
_FOLDER: Final = Path(__file__).parent.parent / "tests"
_COMPARED: Final = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_COUNTED: Final = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_NAMED: Final = {"minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """One change: the function it is in, by the line it begins on and its name, the line changed, and how."""

    module: str
    function: tuple[str, int]
    line: int
    what: str
    place: int
    turn: int


class _Turner(ast.NodeTransformer):
    """Visits what can be changed; with a `place` and a `turn` it changes that, and otherwise it lists everything."""

    def __init__(self, place: int = -1, turn: int = 0) -> None:
        self.place, self.turn = place, turn
        self.count, self.found = 0, list[tuple[tuple[str, int], int, str, int, int]]()
        self._scope: list[tuple[str, int, bool]] = []

    def visit(self, node: ast.AST) -> Any:
        """Visit a node; definitions say where we are, and what is no part of a function's work is left alone."""
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            self._scope.append((node.name, first, isinstance(node, ast.FunctionDef)))
            node.body = [each for part in node.body for each in _listed(self.visit(part))] or [ast.Pass()]
            self._scope.pop()
            return node
        if isinstance(node, ast.Assert | ast.AnnAssign | ast.JoinedStr) or _is_text(node):
            return node
        node = self.generic_visit(node)
        changes = list(_changes(node)) if any(function for _, _, function in self._scope) else []
        mine, self.count = self.count, self.count + 1
        for turn, (what, changed) in enumerate(changes):
            if (mine, turn) == (self.place, self.turn):
                return ast.copy_location(changed, node)
            if self.place < 0:
                self.found.append((self._function(), node.lineno, what, mine, turn))
        return node

    def _function(self) -> tuple[str, int]:
        """Return the outermost function: what lies in it is part of its code."""
        depth = next(at for at, scope in enumerate(self._scope) if scope[2])
        return ".".join(name for name, _, _ in self._scope[: depth + 1]), self._scope[depth][1]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield what can become of a node, each with a few words."""
    yield from _of_operators(node)
    yield from _of_values(node)


def _of_operators(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Compare(left, [operator, *others], [first, *more]) if type(operator) in _COMPARED:
            other = _COMPARED[type(operator)]()
            yield f"{_sign(operator)} to {_sign(other)}", ast.Compare(left, [other, *others], [first, *more])
        case ast.BinOp(left, operator, right) if type(operator) in _COUNTED:
            other = _COUNTED[type(operator)]()
            yield f"{_sign(operator)} to {_sign(other)}", ast.BinOp(left, other, right)
        case ast.AugAssign(target, operator, value) if type(operator) in _COUNTED:
            other = _COUNTED[type(operator)]()
            yield f"{_sign(operator)}= to {_sign(other)}=", ast.AugAssign(target, other, value)
        case ast.BoolOp(operator, values):
            yield "and/or", ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield "without not or minus", operand


def _of_values(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Constant(bool(value)):
            yield f"{value} to {not value}", ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield f"{value} to {value + 1}", ast.Constant(value + 1)
        case ast.If(test, body, orelse):
            yield "if not", ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.IfExp(test, body, orelse):
            yield "if not", ast.IfExp(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Return(value) if value is not None and not _is_none(value):
            yield "return None", ast.Return(ast.Constant(None))
        case ast.Expr(ast.Call()) | ast.Raise():
            yield "left out", ast.Pass()
        case ast.Name(name, context) if name in _NAMED:
            yield f"{name} to {_NAMED[name]}", ast.Name(_NAMED[name], context)
        case ast.Attribute(value, name, context) if name in _NAMED:
            yield f"{name} to {_NAMED[name]}", ast.Attribute(value, _NAMED[name], context)


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _sign(operator: ast.AST) -> str:
    return type(operator).__name__


def mutants(module: str) -> list[Mutant]:
    """Return every mutant of a module, in order of its lines."""
    turner = _Turner()
    turner.visit(_tree(module))
    found = [Mutant(module, *each) for each in turner.found]
    return sorted(found, key=lambda mutant: (mutant.line, mutant.place, mutant.turn))


def _tree(module: str) -> ast.Module:
    source = importlib.util.find_spec(module)
    assert source is not None
    assert source.origin is not None
    return ast.parse(Path(source.origin).read_text(encoding="utf-8"))


def put_in(mutant: Mutant) -> None:
    """Exchange the code of the mutant's function wherever that function is known by now."""
    file = importlib.import_module(mutant.module).__file__
    tree = ast.fix_missing_locations(_Turner(mutant.place, mutant.turn).visit(_tree(mutant.module)))
    code = _code_of(compile(tree, str(file), "exec"), mutant.function)
    functions = [
        each
        for each in gc.get_objects()
        if isinstance(each, types.FunctionType)
        and each.__code__.co_filename == file
        and (each.__code__.co_qualname, each.__code__.co_firstlineno) == mutant.function
    ]
    if not functions:
        raise LookupError(f"{mutant} is nowhere to be found")
    for function in functions:
        function.__code__ = code


def _code_of(code: types.CodeType, function: tuple[str, int]) -> types.CodeType:
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            if (part.co_qualname, part.co_firstlineno) == function:
                return part
            with contextlib.suppress(LookupError):
                return _code_of(part, function)
    raise LookupError(function)


def noticed(module: str, mutant: Mutant | None, seconds: float) -> bool:
    """Say whether the tests of a module fail with a mutant in place, or take too long; in a process of its own."""
    child = os.fork()
    if child == 0:
        os.setpgrp()
        os._exit(_tested(module, mutant))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status != 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _tested(module: str, mutant: Mutant | None) -> int:
    """Run the tests of a module quietly, with a mutant in place; 0 if all passed."""
    import hypothesis
    import pytest

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    # The same examples for every mutant, and none kept from one for the next.
    hypothesis.settings.register_profile("mutation", derandomize=True, database=None, deadline=None)
    hypothesis.settings.load_profile("mutation")
    try:
        if mutant is not None:
            put_in(mutant)
        files = [str(_FOLDER / file) for file in TESTS[module]]
        plugins = ["-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore:Module already imported"]
        options = ["-x", "-q", "-m", "not campaign", *plugins]
        return int(pytest.main([*options, *files]) != 0)
    except BaseException:  # noqa: BLE001, a mutant that breaks the tests in any way has been noticed
        return 1


def _prepare() -> None:
    """Import what the tests need once, for all children, without starting a thread."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"
    for name in ("pandas", "duckdb", "hypothesis", "pytest", "numba", "scipy.sparse", "cosim.experiments.cli", *TESTS):
        importlib.import_module(name)
    for name in ("run", "build", "baseline", "report", "sweeps.sweep"):
        importlib.import_module(f"cosim.experiments.{name}")


def main(most: int = SAMPLE) -> list[dict[str, Any]]:
    """Return a row for each module: mutants there are, tried, and the share that was noticed; prints survivors."""
    _prepare()
    rows = []
    for module in TESTS:
        began = time.monotonic()
        if noticed(module, None, 600.0):
            raise SystemExit(f"the tests of {module} fail as they are: {', '.join(TESTS[module])}")
        seconds = max(PATIENCE * (time.monotonic() - began), LEAST_S)
        known = mutants(module)
        tried = sorted(random.Random(SEED).sample(known, min(most, len(known))), key=known.index)  # noqa: S311, a sample
        survivors = [mutant for mutant in tried if not noticed(module, mutant, seconds)]
        for mutant in survivors:
            print(f"survived: {module}:{mutant.line} {mutant.function[0]}: {mutant.what}", flush=True)
        share = 1.0 - len(survivors) / len(tried)
        rows.append({"module": module, "mutants": len(known), "tried": len(tried), "score_percent": 100.0 * share})
        print(rows[-1], flush=True)
    return [*rows, _total(rows)]


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    tried = sum(row["tried"] for row in rows)
    score = sum(row["tried"] * row["score_percent"] for row in rows) / tried
    return {"module": "all", "mutants": sum(row["mutants"] for row in rows), "tried": tried, "score_percent": score}
