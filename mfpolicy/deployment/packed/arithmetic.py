"""Numbers inside compiled loops: weights of any stored type as float32, and Mish."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

LOG2_E, LN_2 = np.float32(1.4426950408889634), np.float32(0.6931471805599453)


def _float32_of_bits(_context: Any, _bits: Any) -> Any:
    """The float32 with these bits, uint32 → float32."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.uint32), generate


float32_of_bits: Any = intrinsic(_float32_of_bits)


def _get(_context: Any, array: Any, index: Any) -> Any:
    """``array[index]`` of a flat array, 0 ≤ index: no count of references, no wrapping around.

    Slices count their references in memory that all threads share, which costs more than a row.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load(builder.gep(data, [args[1]], inbounds=True))

    return array.dtype(array, types.intp), generate


get: Any = intrinsic(_get)


def _put(_context: Any, array: Any, index: Any, value: Any) -> Any:
    """``array[index] = value`` of a flat array, as in :func:`get`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        builder.store(args[2], builder.gep(data, [args[1]], inbounds=True))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), generate


put: Any = intrinsic(_put)


def _widen(_context: Any, weight: Any) -> Any:
    """A stored weight as float32: float32, bfloat16 (as its upper bits, uint16) or int8."""

    def generate(_context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (kind,), (value,) = signature.args, args
        if kind == types.float32:
            return value
        if kind == types.int8:
            return builder.sitofp(value, ir.FloatType())
        word = ir.IntType(32)
        bits = builder.shl(builder.zext(value, word), ir.Constant(word, 16))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(weight), generate


widen: Any = intrinsic(_widen)


@njit(fastmath=True, inline="always")
def exponential(x: Any) -> Any:
    """e^x for x in [−87, 88] to about 1e-7 of its size; a form that runs on whole vectors."""
    n = np.floor(x * LOG2_E + np.float32(0.5))
    f = x - n * LN_2  # in [−ln 2 / 2, ln 2 / 2]: the series to x^7 / 7! is exact in float32
    p = np.float32(1 / 5040)
    p = p * f + np.float32(1 / 720)
    p = p * f + np.float32(1 / 120)
    p = p * f + np.float32(1 / 24)
    p = p * f + np.float32(1 / 6)
    p = p * f + np.float32(0.5)
    p = p * f + np.float32(1)
    p = p * f + np.float32(1)
    return p * float32_of_bits(np.uint32((np.int32(n) + np.int32(127)) << np.int32(23)))


@njit(fastmath=True, inline="always")
def mish(x: Any) -> Any:
    """X tanh(ln(1 + e^x)) = x n / (n + 2) with n = e^x (e^x + 2)."""
    e = exponential(min(max(x, np.float32(-60)), np.float32(20)))
    n = e * (e + np.float32(2))
    return x * n / (n + np.float32(2))
