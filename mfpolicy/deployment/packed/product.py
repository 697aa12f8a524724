"""A linear layer inside compiled loops: every weight is read once for all columns.

Its vectors are, for each output, the scale of its stored weights and, ``width`` further on, its
bias. Columns are rows of memory, one behind the other.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from mfpolicy.deployment.packed.arithmetic import get, put
from mfpolicy.deployment.packed.sums import dot1, dot4, four_dots, two_dots4

ROWS = 8
"""Of weights that stay in the nearest cache while all columns pass."""


@njit(fastmath=True)
def _put_output(arena: Any, y: int, vectors: Any, v: int, width: int, total: float) -> None:
    put(arena, y, get(vectors, v) * total + get(vectors, v + width))


@njit(fastmath=True)
def four_outputs(
    w: Any, k: int, size: int, vectors: Any, v: int, width: int, arena: Any, x: int, y: int
) -> None:
    """Four outputs, from ``y`` on, of one column of ``size`` values from ``x`` on."""
    s, t, u, z = four_dots(w, k, size, arena, x)
    _put_output(arena, y, vectors, v, width, s)
    _put_output(arena, y + 1, vectors, v + 1, width, t)
    _put_output(arena, y + 2, vectors, v + 2, width, u)
    _put_output(arena, y + 3, vectors, v + 3, width, z)


@njit(fastmath=True)
def _of_one_column(
    w: Any, k: int, size: int, vectors: Any, v: int, width: int, n: int, arena: Any, x: int, y: int
) -> None:
    """``n`` outputs of one column."""
    whole = n - n % 4
    for o in range(0, whole, 4):
        four_outputs(w, k + o * size, size, vectors, v + o, width, arena, x, y + o)
    for o in range(whole, n):
        total = dot1(w, k + o * size, size, arena, x)
        _put_output(arena, y + o, vectors, v + o, width, total)


@njit(fastmath=True)
def _of_four_columns(
    w: Any, k: int, size: int, vectors: Any, v: int, width: int, n: int, arena: Any, x: int, y: int
) -> None:
    """``n`` outputs of four columns."""
    whole = n - n % 2
    for o in range(0, whole, 2):
        s, t, u, z, a, b, c, d = two_dots4(w, k + o * size, size, arena, x, size)
        p, q = v + o, y + o
        _put_output(arena, q, vectors, p, width, s)
        _put_output(arena, q + width, vectors, p, width, t)
        _put_output(arena, q + 2 * width, vectors, p, width, u)
        _put_output(arena, q + 3 * width, vectors, p, width, z)
        _put_output(arena, q + 1, vectors, p + 1, width, a)
        _put_output(arena, q + 1 + width, vectors, p + 1, width, b)
        _put_output(arena, q + 1 + 2 * width, vectors, p + 1, width, c)
        _put_output(arena, q + 1 + 3 * width, vectors, p + 1, width, d)
    if whole < n:
        p, q = v + whole, y + whole
        x1, x2, x3 = x + size, x + 2 * size, x + 3 * size
        s, t, u, z = dot4(w, k + whole * size, size, arena, x, x1, x2, x3)
        _put_output(arena, q, vectors, p, width, s)
        _put_output(arena, q + width, vectors, p, width, t)
        _put_output(arena, q + 2 * width, vectors, p, width, u)
        _put_output(arena, q + 3 * width, vectors, p, width, z)


@njit(fastmath=True)
def outputs(
    w: Any,
    k: int,
    size: int,
    vectors: Any,
    v: int,
    width: int,
    first: int,
    last: int,
    arena: Any,
    x: int,
    columns: int,
    y: int,
) -> None:
    """Outputs ``first`` to ``last`` of a layer from ``size`` to ``width`` values, at all columns.

    Its weights (width, size) begin at ``k`` and its vectors at ``v``; the columns that are read
    (columns, size) at ``x`` of the arena, and those that are written (columns, width) at ``y``.
    """
    for start in range(first, last, ROWS):
        n = min(ROWS, last - start)
        row, o, column = k + start * size, v + start, 0
        while column + 4 <= columns:
            a, b = x + column * size, y + column * width + start
            _of_four_columns(w, row, size, vectors, o, width, n, arena, a, b)
            column += 4
        while column < columns:
            a, b = x + column * size, y + column * width + start
            _of_one_column(w, row, size, vectors, o, width, n, arena, a, b)
            column += 1
