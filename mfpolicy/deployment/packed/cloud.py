"""The per-point MLP of a PointNet and its maximum, a block of points at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from mfpolicy.deployment.packed.sums import EPSILON
from mfpolicy.deployment.packed.threads import on_one_and_on_many

BLOCK = 32
"""Points that go through all layers together: their activations stay in the nearest cache."""


@njit(fastmath=True)
def _linear(x: Any, count: int, weight: Any, bias: Any, y: Any) -> None:
    """Y = x W + b of ``count`` points; W is (in, out), so that the loops run along its rows."""
    inputs, outputs = weight.shape
    whole = inputs - inputs % 4
    for p in range(0, count, 2):
        y0, y1 = y[p, :outputs], y[p + 1, :outputs]
        for o in range(outputs):
            y0[o] = bias[o]
            y1[o] = bias[o]
        for k in range(0, whole, 4):
            w0, w1, w2, w3 = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
            a0, a1, a2, a3 = x[p, k], x[p, k + 1], x[p, k + 2], x[p, k + 3]
            q = p + 1
            b0, b1, b2, b3 = x[q, k], x[q, k + 1], x[q, k + 2], x[q, k + 3]
            for o in range(outputs):
                y0[o] += a0 * w0[o] + a1 * w1[o] + a2 * w2[o] + a3 * w3[o]
                y1[o] += b0 * w0[o] + b1 * w1[o] + b2 * w2[o] + b3 * w3[o]
        for k in range(whole, inputs):
            w0, a0, b0 = weight[k], x[p, k], x[p + 1, k]
            for o in range(outputs):
                y0[o] += a0 * w0[o]
                y1[o] += b0 * w0[o]


@njit(fastmath=True)
def _norm_relu(y: Any, count: int, gain: Any, shift: Any) -> None:
    """Layer norm and ReLU of each point, in place."""
    size = len(gain)
    for p in range(count):
        row = y[p, :size]
        total = np.float32(0)
        for o in range(size):
            total += row[o]
        mean = total / np.float32(size)
        squares = np.float32(0)
        for o in range(size):
            squares += (row[o] - mean) * (row[o] - mean)
        inverse = np.float32(1) / np.sqrt(squares / np.float32(size) + EPSILON)
        for o in range(size):
            row[o] = max((row[o] - mean) * inverse * gain[o] + shift[o], np.float32(0))


def _pool(points: Any, offset: Any, sizes: Any, values: Any, partial: Any) -> None:
    """Writes the maximum of each block of points.

    Args:
        points: (F, P, C) float32.
        offset: (C,), subtracted from every point.
        sizes: (layers + 1,) int64, C and the width of every layer.
        values: flat float32; for each layer W (in, out), b, and the norm's weight and bias.
        partial: (F, blocks, width of the last layer), written.
    """
    frames, blocks, width = partial.shape
    largest = np.max(sizes)
    for task in prange(frames * blocks):
        frame, block = task // blocks, task % blocks
        here = points[frame, block * BLOCK : (block + 1) * BLOCK]
        count = len(here)
        x = np.zeros((BLOCK + 1, largest), np.float32)
        y = np.empty((BLOCK + 1, largest), np.float32)
        for p in range(count):
            for c in range(sizes[0]):
                x[p, c] = here[p, c] - offset[c]
        place = 0
        for n in range(len(sizes) - 1):
            inputs, outputs = sizes[n], sizes[n + 1]
            weight = values[place : place + inputs * outputs].reshape((inputs, outputs))
            place += inputs * outputs
            bias = values[place : place + outputs]
            gain = values[place + outputs : place + 2 * outputs]
            shift = values[place + 2 * outputs : place + 3 * outputs]
            place += 3 * outputs
            _linear(x, count, weight, bias, y)
            _norm_relu(y, count, gain, shift)
            x, y = y, x
        best = partial[frame, block]
        for o in range(width):
            best[o] = x[0, o]
        for p in range(1, count):
            for o in range(width):
                best[o] = max(best[o], x[p, o])


pool_on_one, pool_on_many = on_one_and_on_many(_pool)
