"""How weights are stored: float32, bfloat16 in half the bytes, or int8 in a quarter."""

from __future__ import annotations

import numpy as np

PRECISIONS = ("float32", "bfloat16", "int8")


def pack(weight: np.ndarray, precision: str) -> tuple[np.ndarray, np.ndarray]:
    """Stores the rows of a matrix, one an output channel.

    Args:
        weight: (O, K) float32.
        precision: bfloat16 rounds to nearest, ties to even; int8 is symmetric, with the scale of
            each row that its largest weight asks for.

    Returns:
        Stored weights (O, K) of float32, uint16 (the bits of bfloat16) or int8, and the scale of
        each row (O,) float32: a row is its stored weights times its scale.

    Example:
        >>> stored, scale = pack(np.array([[1.0, -0.5]], np.float32), "int8")
        >>> stored.tolist(), round(float(scale[0] * 127), 3)
        ([[127, -64]], 1.0)
    """
    one = np.ones(len(weight), np.float32)
    if precision == "float32":
        return weight.astype(np.float32), one
    if precision == "bfloat16":
        bits = np.ascontiguousarray(weight, np.float32).view(np.uint32)
        rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        return (rounded >> np.uint32(16)).astype(np.uint16), one
    largest = np.abs(weight).max(axis=1)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.rint(weight / scale[:, None]).astype(np.int8), scale
