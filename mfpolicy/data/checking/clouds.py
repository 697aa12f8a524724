"""Point clouds without content: nothing in them, or the same few points again and again."""

from __future__ import annotations

import numpy as np

from mfpolicy.data.checking.base import CHECKS, Block, Check
from mfpolicy.data.checking.findings import code

EMPTY = code(
    "cloud-empty", "error", "a point cloud has points, and not all at one place",
    "look whether the camera delivered; leave the episode out",
)  # fmt: skip
FEW = code(
    "cloud-few-points", "warning", "most points of a cloud differ from one another",
    "look at the crop box and the camera; or lower min_points_share",
)  # fmt: skip


@CHECKS.register("clouds")
class Clouds(Check):
    """Empty clouds, and clouds that are filled up by repetition."""

    def wants(self, array: str) -> bool:
        """The point clouds."""
        return array == "point_cloud"

    def look(self, block: Block) -> None:
        """Looks at a block."""
        xyz = block.values[..., :3]  # (n, P, 3)
        empty = (xyz == xyz[:, :1]).all(axis=(1, 2))
        if xyz.shape[1] == 1:
            empty = (xyz == 0).all(axis=(1, 2))
        distinct = _distinct(xyz)
        fewest = self.limits.min_points_share * xyz.shape[1]
        for kind, where in ((EMPTY, empty), (FEW, ~empty & (distinct < fewest))):
            rows = np.flatnonzero(where)
            if len(rows):
                self.log.add(
                    kind, f"{distinct[rows[0]]} different points of {xyz.shape[1]}",
                    array=block.path, episode=block.episode, step=block.step + int(rows[0]),
                    steps=len(rows),
                )  # fmt: skip


def _distinct(xyz: np.ndarray) -> np.ndarray:
    """How many points of each cloud differ from one another, (n,)."""
    bits = np.ascontiguousarray(xyz, np.float32).view(np.uint32).astype(np.uint64)
    keys = bits @ np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)
    keys.sort(axis=1)
    return 1 + (keys[:, 1:] != keys[:, :-1]).sum(axis=1)
