"""Values that are no numbers, or none that can be meant."""

from __future__ import annotations

import numpy as np

from mfpolicy.data.checking.base import CHECKS, Block, Check
from mfpolicy.data.checking.findings import Code, code
from mfpolicy.data.checking.stamps import STAMPS

_LEAVE = "leave the episode out, or record it again"

NAN = code("nan", "error", "every value is a number", _LEAVE)
INFINITE = code("infinite", "error", "every value is finite", _LEAVE)
MAGNITUDE = code(
    "magnitude", "error", "values are of a magnitude that can be measured",
    "look for memory that was never written, or raise max_magnitude; else leave the episode out",
)  # fmt: skip


@CHECKS.register("numbers")
class Numbers(Check):
    """NaN, infinity, and magnitudes that nothing has."""

    def wants(self, array: str) -> bool:
        """Every array of floating-point numbers."""
        self._are_stamps = STAMPS.match(array) is not None
        return self.survey.arrays[array].array.dtype.kind == "f"

    def look(self, block: Block) -> None:
        """Looks at a block."""
        values = block.values.reshape(len(block.values), -1)
        with np.errstate(over="ignore"):
            peak = np.abs(values).max() if values.size else 0.0
        if np.isfinite(peak) and peak <= self.limits.max_magnitude:
            return
        nan = np.isnan(values)
        with np.errstate(over="ignore", invalid="ignore"):
            infinite = ~nan & ~np.isfinite(values.astype(np.float32))
        large = ~nan & ~infinite & (np.abs(values) > self.limits.max_magnitude)
        if self._are_stamps:  # seconds since 1970 are many
            large[:] = False
        for kind, where in ((NAN, nan), (INFINITE, infinite), (MAGNITUDE, large)):
            if where.any():
                self._tell(kind, block, values, where)

    def _tell(self, kind: Code, block: Block, values: np.ndarray, where: np.ndarray) -> None:
        rows = np.flatnonzero(where.any(axis=1))
        first = int(rows[0])
        channel = int(np.argmax(where[first]))
        self.log.add(
            kind, f"{values[first, channel]} in entry {channel} of the step",
            array=block.path, episode=block.episode, step=block.step + first, steps=len(rows),
        )  # fmt: skip
