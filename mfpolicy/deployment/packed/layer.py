"""A layer of the U-Net in one parallel pass: convolution, group norm, Mish, FiLM and residual.

Groups of channels are independent of one another from the convolution to the residual, so each is
the work of one thread from beginning to end, and a weight is read once for all positions.
"""

from __future__ import annotations

from typing import Any

from numba import njit, prange

from mfpolicy.deployment.packed.arithmetic import get, mish, put
from mfpolicy.deployment.packed.product import four_outputs
from mfpolicy.deployment.packed.sums import add, dot1, dot2, dot4, moments
from mfpolicy.deployment.packed.threads import on_one_and_on_many

FIELDS = (
    *("x", "x_row", "channels", "y", "y_row", "steps", "width", "taps"),
    *("weight", "vectors", "pairs", "groups", "norm", "film", "residual", "residual_row"),
)
"""Columns of a plan's table. x, y, film and residual are places in the arena (−1: there is none),
rows the distance from one step of a sequence to the next; weight, vectors and pairs are places in
the arrays of weights, of vectors (scale, bias, and with norm its weight and bias) and of pairs."""
(X, X_ROW, CHANNELS, Y, Y_ROW, STEPS, WIDTH, TAPS) = range(8)
(WEIGHT, VECTORS, PAIRS, GROUPS, NORM, FILM, RESIDUAL, RESIDUAL_ROW) = range(8, 16)


@njit(fastmath=True)
def _tap(
    w: Any, k: int, scale: float, arena: Any, row: int, layer: Any, pairs: Any, place: int, o: int
) -> None:
    """Adds one tap's products to channel ``o`` of every step that it reaches."""
    count, size = get(pairs, place), layer[CHANNELS]
    x, x_row = row + layer[X], layer[X_ROW]
    y, y_row = row + layer[Y] + o, layer[Y_ROW]
    p = place + 1
    while count >= 4:
        a, b = x + get(pairs, p + 1) * x_row, x + get(pairs, p + 3) * x_row
        c, d = x + get(pairs, p + 5) * x_row, x + get(pairs, p + 7) * x_row
        s, t, u, v = dot4(w, k, size, arena, a, b, c, d)
        add(arena, y + get(pairs, p) * y_row, scale * s)
        add(arena, y + get(pairs, p + 2) * y_row, scale * t)
        add(arena, y + get(pairs, p + 4) * y_row, scale * u)
        add(arena, y + get(pairs, p + 6) * y_row, scale * v)
        count, p = count - 4, p + 8
    while count >= 2:
        a, b = x + get(pairs, p + 1) * x_row, x + get(pairs, p + 3) * x_row
        s, t = dot2(w, k, size, arena, a, b)
        add(arena, y + get(pairs, p) * y_row, scale * s)
        add(arena, y + get(pairs, p + 2) * y_row, scale * t)
        count, p = count - 2, p + 4
    if count:
        s = dot1(w, k, size, arena, x + get(pairs, p + 1) * x_row)
        add(arena, y + get(pairs, p) * y_row, scale * s)


@njit(fastmath=True)
def _channel(
    weights: Any, vectors: Any, pairs: Any, layer: Any, arena: Any, row: int, o: int
) -> None:
    """Channel ``o`` of the convolution, every step."""
    size, taps = layer[CHANNELS], layer[TAPS]
    scale = get(vectors, layer[VECTORS] + o)
    bias = get(vectors, layer[VECTORS] + layer[WIDTH] + o)
    for step in range(layer[STEPS]):
        put(arena, row + layer[Y] + step * layer[Y_ROW] + o, bias)
    place, k = layer[PAIRS], layer[WEIGHT] + o * taps * size
    for _ in range(taps):
        _tap(weights, k, scale, arena, row, layer, pairs, place, o)
        place += 1 + 2 * get(pairs, place)
        k += size


@njit(fastmath=True)
def _four(weights: Any, vectors: Any, layer: Any, arena: Any, row: int, o: int) -> None:
    """Four channels of a layer that sees a single step: a plain product of matrix and vector."""
    size = layer[CHANNELS]
    k, v = layer[WEIGHT] + o * size, layer[VECTORS] + o
    x, y = row + layer[X], row + layer[Y] + o
    four_outputs(weights, k, size, vectors, v, layer[WIDTH], arena, x, y)


@njit(fastmath=True)
def _finish(
    vectors: Any, layer: Any, arena: Any, row: int, time: Any, first: int, size: int
) -> None:
    """Group norm, Mish, FiLM and residual of ``size`` channels from ``first`` on."""
    width = layer[WIDTH]
    start, steps = row + layer[Y] + first, layer[STEPS]
    mean, inverse = moments(arena, start, steps, layer[Y_ROW], size)
    gain = layer[VECTORS] + 2 * width + first
    film = layer[FILM] + first
    for step in range(steps):
        y = start + step * layer[Y_ROW]
        for c in range(size):
            n = (get(arena, y + c) - mean) * inverse
            put(arena, y + c, mish(n * get(vectors, gain + c) + get(vectors, gain + width + c)))
        if layer[FILM] >= 0:
            f = row + film
            for c in range(size):
                scale = get(arena, f + c) + get(time, film + c)
                shift = get(arena, f + width + c) + get(time, film + width + c)
                put(arena, y + c, get(arena, y + c) * scale + shift)
        if layer[RESIDUAL] >= 0:
            r = row + layer[RESIDUAL] + step * layer[RESIDUAL_ROW] + first
            for c in range(size):
                put(arena, y + c, get(arena, y + c) + get(arena, r + c))


def _run(
    table: Any, weights: Any, vectors: Any, pairs: Any, arena: Any, rows: int, time: Any
) -> None:
    """Runs the layers of ``table`` on every row of the arena.

    Args:
        table: (n, 16) int64, see ``FIELDS``.
        weights: flat, of any type that ``widen`` knows.
        vectors: flat float32.
        pairs: flat int64; for each tap the number of steps it reaches and as many pairs (to, from).
        arena: flat float32, the activations of all rows.
        rows: how many there are.
        time: float32, what time adds to the film, at the same places.
    """
    between = len(arena) // rows
    for n in range(len(table)):
        layer = table[n]
        groups, width = layer[GROUPS], layer[WIDTH]
        for group in prange(groups):
            first, last = group * width // groups, (group + 1) * width // groups
            single = layer[STEPS] == 1 and layer[TAPS] == 1
            whole = first + (last - first) // 4 * 4 if single else first
            for o in range(first, whole, 4):
                for b in range(rows):
                    _four(weights, vectors, layer, arena, b * between, o)
            for o in range(whole, last):
                for b in range(rows):
                    _channel(weights, vectors, pairs, layer, arena, b * between, o)
            if layer[NORM]:
                for b in range(rows):
                    _finish(vectors, layer, arena, b * between, time, first, last - first)


run_on_one, run_on_many = on_one_and_on_many(_run)
