"""A dataset as far as it can be read, whatever is wrong with its structure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mfpolicy.data.schema import DatasetSpec
from mfpolicy.data.stored_array import ChunkFault, StoredArray
from mfpolicy.pointcloud import PointCloudRecipe


@dataclass
class Survey:
    """What can be read of a dataset.

    Attributes:
        root: its folder. zarr_format: 2 or 3. ours: whether mfpolicy wrote it.
        attributes: all root attributes that could be read.
        spec: what they say; None where they do not describe the arrays.
        recipe, control_rate_hz: these two alone, where they can be read.
        arrays: the arrays that can be read, by name. rows: N, steps that are looked at.
        ends: (E,) usable episode ends; where none are stored, one episode of everything.
        meta: the arrays of the episodes that could be read.
        faults: chunk files that cannot be read, by array.
    """

    root: Path
    zarr_format: Literal[2, 3]
    ours: bool
    attributes: dict[str, Any]
    spec: DatasetSpec | None = None
    recipe: PointCloudRecipe | None = None
    control_rate_hz: float | None = None
    arrays: dict[str, StoredArray] = field(default_factory=dict)
    rows: int = 0
    ends: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    meta: dict[str, np.ndarray] = field(default_factory=dict)
    faults: dict[str, list[ChunkFault]] = field(default_factory=dict)

    @property
    def episode_count(self) -> int:
        """E, usable episodes."""
        return len(self.ends)

    def bounds(self, episode: int) -> tuple[int, int]:
        """The first row of ``episode`` and the one after its last."""
        return int(self.ends[episode - 1]) if episode else 0, int(self.ends[episode])

    def place(self, row: int) -> tuple[int | None, int]:
        """The episode of ``row`` and the step in it; no episode behind the last end."""
        episode = int(np.searchsorted(self.ends, row, side="right"))
        start = int(self.ends[episode - 1]) if episode else 0
        return (episode if episode < len(self.ends) else None), row - start

    def touched(self, first: int, stop: int) -> range:
        """Numbers of the episodes that have steps among rows ``first`` to ``stop``."""
        low = int(np.searchsorted(self.ends, first, side="right"))
        high = int(np.searchsorted(self.ends, stop - 1, side="right"))
        return range(low, min(high + 1, len(self.ends)))
