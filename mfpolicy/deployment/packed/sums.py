"""Sums inside compiled loops: products of rows of stored weights with activations, and moments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from mfpolicy.deployment.packed.arithmetic import get, put, widen

EPSILON = np.float32(1e-5)
"""Added to a variance by every norm here."""


@njit(fastmath=True)
def dot1(w: Any, k: int, size: int, x: Any, a: int) -> Any:
    """The row of ``size`` weights from ``k`` on times the values of ``x`` from ``a`` on."""
    s = np.float32(0)
    for c in range(size):
        s += widen(get(w, k + c)) * get(x, a + c)
    return s


@njit(fastmath=True)
def dot2(w: Any, k: int, size: int, x: Any, a: int, b: int) -> tuple[Any, Any]:
    """As :func:`dot1`, of one row of weights and two of values."""
    s, t = np.float32(0), np.float32(0)
    for c in range(size):
        v = widen(get(w, k + c))
        s += v * get(x, a + c)
        t += v * get(x, b + c)
    return s, t


@njit(fastmath=True)
def dot4(
    w: Any, k: int, size: int, x: Any, a: int, b: int, c: int, d: int
) -> tuple[Any, Any, Any, Any]:
    """As :func:`dot1`, of one row of weights and four of values."""
    s, t, u, v = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for i in range(size):
        weight = widen(get(w, k + i))
        s += weight * get(x, a + i)
        t += weight * get(x, b + i)
        u += weight * get(x, c + i)
        v += weight * get(x, d + i)
    return s, t, u, v


@njit(fastmath=True)
def four_dots(w: Any, k: int, size: int, x: Any, a: int) -> tuple[Any, Any, Any, Any]:
    """As :func:`dot1`, of four rows of weights, one behind the other, and one of values."""
    s, t, u, v = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for c in range(size):
        value = get(x, a + c)
        s += widen(get(w, k + c)) * value
        t += widen(get(w, k + size + c)) * value
        u += widen(get(w, k + 2 * size + c)) * value
        v += widen(get(w, k + 3 * size + c)) * value
    return s, t, u, v


@njit(fastmath=True)
def two_dots4(
    w: Any, k: int, size: int, x: Any, a: int, row: int
) -> tuple[Any, Any, Any, Any, Any, Any, Any, Any]:
    """As :func:`dot1`, of two rows of weights and four of values that lie ``row`` apart.

    Eight sums are what hides the latency of their additions; more do not fit 16 registers.
    """
    b, c, d = a + row, a + 2 * row, a + 3 * row
    s, t, u, v = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    m, n, p, q = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for i in range(size):
        one, two = widen(get(w, k + i)), widen(get(w, k + size + i))
        at_a, at_b, at_c, at_d = get(x, a + i), get(x, b + i), get(x, c + i), get(x, d + i)
        s += one * at_a
        t += one * at_b
        u += one * at_c
        v += one * at_d
        m += two * at_a
        n += two * at_b
        p += two * at_c
        q += two * at_d
    return s, t, u, v, m, n, p, q


@njit(fastmath=True)
def add(x: Any, place: int, value: float) -> None:
    """Adds to one value of ``x``."""
    put(x, place, get(x, place) + value)


@njit(fastmath=True)
def moments(x: Any, start: int, rows: int, row: int, size: int) -> tuple[Any, Any]:
    """Mean and inverse deviation of ``rows`` times ``size`` values that begin ``row`` apart."""
    total, squares = np.float32(0), np.float32(0)
    for n in range(rows):
        y = start + n * row
        for c in range(size):
            total += get(x, y + c)
    mean = total / np.float32(rows * size)
    for n in range(rows):
        y = start + n * row
        for c in range(size):
            d = get(x, y + c) - mean
            squares += d * d
    return mean, np.float32(1) / np.sqrt(squares / np.float32(rows * size) + EPSILON)
