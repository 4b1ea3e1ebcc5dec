"""Eight numbers that go through a kernel side by side: one lane for each of eight problems of the same shape.

A kernel written with `load`, `store`, `smaller`, `larger`, `where_positive` and the four arithmetic operators
reads like code for one problem. Compiled by numba, a lane value is one vector register; run by plain Python
it is a numpy array, of any width. Every operation is a single IEEE operation on each lane, so both ways give
the same bits and no lane ever sees another.
"""

import operator
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, overload, register_jitable, register_model

LANES = 8
"""Lanes of a compiled kernel: a vector register of 512 bits, or two or four smaller ones."""

Lanes = Any
"""A lane value: a vector register inside a compiled kernel, a float array (lanes,) in plain Python."""

Function = TypeVar("Function", bound=Callable[..., Any])

_VECTOR = ir.VectorType(ir.DoubleType(), LANES)


def inlined(function: Function) -> Function:
    """Let compiled kernels use a function as part of themselves; plain Python calls it as it is."""
    same: Function = register_jitable(function)
    return same


def load(array: np.ndarray, row: int) -> Lanes:
    """Return row `row` of an array (rows, lanes) as a lane value."""
    return array[row].copy()


def store(array: np.ndarray, row: int, value: Lanes) -> None:
    """Write a lane value, or one number for all lanes, into row `row` of an array (rows, lanes)."""
    array[row] = value


def smaller(left: Lanes, right: Lanes) -> Lanes:
    """Return the smaller number of each lane, `right` where they do not compare."""
    return np.where(left < right, left, right)


def larger(left: Lanes, right: Lanes) -> Lanes:
    """Return the larger number of each lane, `right` where they do not compare."""
    return np.where(left > right, left, right)


def where_positive(test: Lanes, yes: Lanes, no: Lanes) -> Lanes:
    """Return `yes` in lanes whose `test` is above zero, `no` elsewhere."""
    return np.where(test > 0.0, yes, no)


class _LanesType(types.Type):
    """numba's type of a lane value."""

    def __init__(self) -> None:
        super().__init__(name=f"Lanes{LANES}")


_LANES_TYPE = _LanesType()


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    """A lane value is one LLVM vector."""

    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _VECTOR)


def _splat(context: Any, builder: Any, numba_type: Any, value: Any) -> Any:
    """Return an operand as a vector: itself, or one number in every lane."""
    if numba_type is _LANES_TYPE:
        return value
    number = context.cast(builder, value, numba_type, types.float64)
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), zeros)


def _elementwise(build: Callable[..., Any], arity: int) -> Any:
    """Return a compiled function of `arity` operands that `build(builder, *vectors)` computes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vectors = [_splat(context, builder, *pair) for pair in zip(signature.args, args, strict=True)]
        return build(builder, *vectors)

    def unary(_context: Any, operand: Any) -> Any:
        return _LANES_TYPE(operand), generate

    def binary(_context: Any, left: Any, right: Any) -> Any:
        return _LANES_TYPE(left, right), generate

    def ternary(_context: Any, test: Any, yes: Any, no: Any) -> Any:
        return _LANES_TYPE(test, yes, no), generate

    return intrinsic({1: unary, 2: binary, 3: ternary}[arity])


def _compared(sign: str) -> Callable[..., Any]:
    """Return a builder of the left operand where `left sign right` and the right one elsewhere."""

    def build(builder: Any, left: Any, right: Any) -> Any:
        return builder.select(builder.fcmp_ordered(sign, left, right), left, right)

    return build


def _positive(builder: Any, test: Any, yes: Any, no: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", test, ir.Constant(_VECTOR, [0.0] * LANES)), yes, no)


def _row_pointer(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Return where the row starts that the first two arguments name."""
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    row = context.cast(builder, args[1], signature.args[1], types.intp)
    start = builder.gep(data, [builder.mul(row, ir.Constant(row.type, LANES))])
    return builder.bitcast(start, _VECTOR.as_pointer())


@intrinsic
def _load(_context: Any, array: Any, row: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_row_pointer(context, builder, signature, args), align=8)

    return _LANES_TYPE(array, row), generate


@intrinsic
def _store(_context: Any, array: Any, row: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = _splat(context, builder, signature.args[2], args[2])
        builder.store(vector, _row_pointer(context, builder, signature, args), align=8)
        return context.get_dummy_value()

    return types.void(array, row, value), generate


def _compile_as(python: Callable[..., Any], compiled: Any, arity: int) -> None:
    """Let compiled code use an intrinsic for a function of `arity` operands."""

    def wanted(*operands: Any) -> bool:
        return python in (load, store) or _LANES_TYPE in operands

    # numba matches operands by position and wants plain functions, so an intrinsic cannot stand for itself.
    def unary(a: Any) -> Any:
        return (lambda a: compiled(a)) if wanted(a) else None  # noqa: PLW0108

    def binary(a: Any, b: Any) -> Any:
        return (lambda a, b: compiled(a, b)) if wanted(a, b) else None  # noqa: PLW0108

    def ternary(a: Any, b: Any, c: Any) -> Any:
        return (lambda a, b, c: compiled(a, b, c)) if wanted(a, b, c) else None  # noqa: PLW0108

    overload(python, strict=False)({1: unary, 2: binary, 3: ternary}[arity])


def _compile_all() -> None:
    """Give every function of lane values its instruction."""
    _compile_as(load, _load, 2)
    _compile_as(store, _store, 3)
    for arity, python, build in (
        (2, smaller, _compared("<")),
        (2, larger, _compared(">")),
        (3, where_positive, _positive),
        (1, operator.neg, lambda builder, a: builder.fneg(a)),
        (2, operator.add, lambda builder, a, b: builder.fadd(a, b)),
        (2, operator.sub, lambda builder, a, b: builder.fsub(a, b)),
        (2, operator.mul, lambda builder, a, b: builder.fmul(a, b)),
        (2, operator.truediv, lambda builder, a, b: builder.fdiv(a, b)),
    ):
        _compile_as(python, _elementwise(build, arity), arity)


_compile_all()
