"""An MLP-Mixer in compiled loops: passes over the chunk, of which threads share the long ones.

Activations are matrices (B · Th, W) in one flat arena. A layer norm needs all channels of a step,
so each branch begins with it, by itself; what follows falls into pieces that are independent.
"""

from __future__ import annotations

from typing import Any

from numba import njit, prange

from mfpolicy.deployment.packed.arithmetic import get, mish, put
from mfpolicy.deployment.packed.product import outputs
from mfpolicy.deployment.packed.sums import add, dot1, moments
from mfpolicy.deployment.packed.threads import on_one_and_on_many

PIECES = 8
"""Pieces of a layer over channels, so that several threads have work."""
CHANNELS = 64
"""Channels of a piece of a layer over steps: enough for loops along them to run on vectors."""


@njit(fastmath=True)
def _into(
    arena: Any, x: int, y: int, width: int, columns: int, horizon: int, film: int, row: int
) -> None:
    """Writes y = s n(x) + b of every step; a row of the batch has s and b at ``film``."""
    for column in range(columns):
        scale, a, b = film + column // horizon * row, x + column * width, y + column * width
        mean, inverse = moments(arena, a, 1, width, width)
        for c in range(width):
            n = (get(arena, a + c) - mean) * inverse
            put(arena, b + c, n * get(arena, scale + c) + get(arena, scale + width + c))


@njit(fastmath=True)
def _mix_steps(
    vectors: Any,
    v: int,
    hidden: int,
    arena: Any,
    y: int,
    x: int,
    gate: int,
    line: int,
    width: int,
    horizon: int,
    size: int,
) -> None:
    """Adds g MLP(y) to x, over the steps of ``size`` channels; steps are ``width`` apart.

    ``vectors`` has from ``v`` on, for each of the ``hidden`` units, its weights out of all steps,
    those into all steps and its bias; last the biases of the steps. The hidden values of one unit
    at a time are at ``line``: they are never all there.
    """
    for s in range(horizon):
        bias = get(vectors, v + hidden * (2 * horizon + 1) + s)
        for c in range(size):
            add(arena, x + s * width + c, bias * get(arena, gate + c))
    for h in range(hidden):
        w = v + h * (2 * horizon + 1)
        bias = get(vectors, w + 2 * horizon)
        for c in range(size):
            put(arena, line + c, bias)
        for s in range(horizon):
            weight = get(vectors, w + s)
            for c in range(size):
                add(arena, line + c, weight * get(arena, y + s * width + c))
        for c in range(size):
            put(arena, line + c, mish(get(arena, line + c)) * get(arena, gate + c))
        for s in range(horizon):
            weight = get(vectors, w + horizon + s)
            for c in range(size):
                add(arena, x + s * width + c, weight * get(arena, line + c))


@njit(fastmath=True)
def _enter(vectors: Any, arena: Any, noise: int, x: int, sizes: Any) -> None:
    """A step's actions as channels, with its place's vector."""
    rows, horizon, actions, width = sizes[:4]
    for column in range(rows * horizon):
        to, bias = x + column * width, (actions + column % horizon) * width
        for c in range(width):
            put(arena, to + c, get(vectors, bias + c))
        for a in range(actions):
            value = get(arena, noise + column * actions + a)
            for c in range(width):
                add(arena, to + c, value * get(vectors, a * width + c))


@njit(fastmath=True)
def _leave(vectors: Any, v: int, arena: Any, x: int, velocity: int, sizes: Any) -> None:
    """Layer norm, in place, and the last layer."""
    rows, horizon, actions, width = sizes[:4]
    for column in range(rows * horizon):
        at = x + column * width
        mean, inverse = moments(arena, at, 1, width, width)
        for c in range(width):
            put(arena, at + c, (get(arena, at + c) - mean) * inverse)
        for a in range(actions):
            total = dot1(vectors, v + a * width, width, arena, at)
            bias = get(vectors, v + actions * width + a)
            put(arena, velocity + column * actions + a, total + bias)


@njit(fastmath=True)
def _activate(arena: Any, y: int, width: int, first: int, last: int, columns: int) -> None:
    """Mish of channels ``first`` to ``last``, in place."""
    for column in range(columns):
        for c in range(y + column * width + first, y + column * width + last):
            put(arena, c, mish(get(arena, c)))


@njit(fastmath=True)
def _onto(
    arena: Any,
    y: int,
    x: int,
    width: int,
    first: int,
    last: int,
    columns: int,
    horizon: int,
    gate: int,
    row: int,
) -> None:
    """Adds g y to x, channels ``first`` to ``last``; a row of the batch has g at ``gate``."""
    for column in range(columns):
        g, at = gate + column // horizon * row, column * width
        for c in range(first, last):
            add(arena, x + at + c, get(arena, y + at + c) * get(arena, g + c))


def _run(sizes: Any, places: Any, weights: Any, vectors: Any, arena: Any, time: Any) -> None:
    """Evaluates the network for every row.

    Args:
        sizes: B, Th, A, W, depth, hidden sizes over steps and over channels.
        places: in the arena, of the noise (B · Th, A), x and y (B · Th, W), hidden values
            (B · Th, H), modulation and the condition's share of it (B, M), and u (B · Th, A). Of
            each branch the modulation is (1 + s, b, 1 + g).
        weights: flat, of any type that ``widen`` knows; of every block the matrices over channels.
        vectors: flat float32, all else: into the chunk, the blocks, out of the chunk.
        arena: flat float32.
        time: (M,) float32, what time adds to the modulation.
    """
    rows, horizon, actions, width, depth, of_steps, of_channels = sizes
    noise, x, y, hidden, film, share, velocity = places
    columns, row, pieces = rows * horizon, len(time), -(-width // CHANNELS)
    for b in range(rows):
        for m in range(row):
            put(arena, film + b * row + m, get(arena, share + b * row + m) + get(time, m))
    _enter(vectors, arena, noise, x, sizes)
    k, v = 0, (actions + horizon) * width
    for _ in range(depth):
        _into(arena, x, y, width, columns, horizon, film, row)
        for task in prange(rows * pieces):
            b, c = task // pieces, task % pieces * CHANNELS
            at, size = b * horizon * width + c, min(CHANNELS, width - c)
            g, line = film + b * row + 2 * width + c, hidden + b * width + c
            _mix_steps(vectors, v, of_steps, arena, y + at, x + at, g, line, width, horizon, size)
        v += of_steps * (2 * horizon + 1) + horizon
        film += 3 * width
        _into(arena, x, y, width, columns, horizon, film, row)
        for piece in prange(PIECES):
            o, p = piece * of_channels // PIECES, (piece + 1) * of_channels // PIECES
            outputs(weights, k, width, vectors, v, of_channels, o, p, arena, y, columns, hidden)
            _activate(arena, hidden, of_channels, o, p, columns)
        k += of_channels * width
        v += 2 * of_channels
        for piece in prange(PIECES):
            o, p = piece * width // PIECES, (piece + 1) * width // PIECES
            outputs(weights, k, of_channels, vectors, v, width, o, p, arena, hidden, columns, y)
            _onto(arena, y, x, width, o, p, columns, horizon, film + 2 * width, row)
        k += of_channels * width
        v += 2 * width
        film += 3 * width
    _leave(vectors, v, arena, x, velocity, sizes)


run_on_one, run_on_many = on_one_and_on_many(_run)


def _condition(
    weights: Any, size: int, vectors: Any, width: int, arena: Any, x: int, rows: int, y: int
) -> None:
    """The condition's share of the modulation: of all branches one product, rows as columns."""
    for piece in prange(PIECES):
        first, last = piece * width // PIECES, (piece + 1) * width // PIECES
        outputs(weights, 0, size, vectors, 0, width, first, last, arena, x, rows, y)


condition_on_one, condition_on_many = on_one_and_on_many(_condition)
