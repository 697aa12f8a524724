"""Points that are wasted on what never moves: walls, the table, the foot of the robot."""

from __future__ import annotations

import numpy as np

from mfpolicy.data.checking.base import CHECKS, Block, Check
from mfpolicy.data.checking.findings import FindingLog, code
from mfpolicy.data.checking.limits import CheckLimits
from mfpolicy.data.checking.survey import Survey

BACKGROUND = code(
    "cloud-background", "note",
    "less than half of the points lie where there are points in most clouds",
    "draw the crop box so that walls, table and the robot's foot are outside; nothing, if what the "
    "policy handles stays in its place",
)  # fmt: skip

_CELL_M = 0.05  # the distance of some 256 sampled points in a scene of a metre
_EPISODES, _STEPS = 16, 8  # as many clouds of as many episodes are looked at
_MOST, _HALF = 0.6, 0.5


@CHECKS.register("background")
class Background(Check):
    """Cells of 5 cm that are seldom empty, and the share of the points that lie in them."""

    def __init__(self, survey: Survey, limits: CheckLimits, log: FindingLog) -> None:
        super().__init__(survey, limits, log)
        count = survey.episode_count
        chosen = np.unique(np.linspace(0, count - 1, min(_EPISODES, count)).astype(np.int64))
        self._rows: set[int] = set()
        for episode in chosen if count else ():
            start, end = survey.bounds(int(episode))
            self._rows.update(np.linspace(start, end - 1, _STEPS).astype(int).tolist())
        self._episodes: set[int] = set()
        self._cells: list[np.ndarray] = []

    def wants(self, array: str) -> bool:
        """The point clouds."""
        return array == "point_cloud"

    def look(self, block: Block) -> None:
        """Looks at a block."""
        for row in self._rows.intersection(range(block.row, block.row + len(block.values))):
            xyz = block.values[row - block.row, :, :3].astype(np.float64)  # (P, 3)
            if (np.abs(xyz) <= self.limits.max_magnitude).all():  # not finite is told elsewhere
                self._cells.append(np.floor(xyz / _CELL_M).astype(np.int64))
                self._episodes.add(block.episode)

    def finish_array(self, array: str) -> None:
        """Judges all clouds together; one episode cannot say what never moves."""
        if len(self._episodes) < 2:
            return
        sizes = [len(cells) for cells in self._cells]
        _, cell = np.unique(np.concatenate(self._cells), axis=0, return_inverse=True)
        clouds = np.repeat(np.arange(len(sizes)), sizes)
        seen = np.unique(np.stack([cell.reshape(-1), clouds]), axis=1)[0]
        share = np.bincount(seen) / len(sizes)  # of the clouds that have a point in the cell
        wasted = float((share[cell.reshape(-1)] >= _MOST).mean())
        if wasted >= _HALF:
            self.log.add(
                BACKGROUND, f"{wasted:.0%} of the points of {len(sizes)} clouds",
                array=f"data/{array}",
            )  # fmt: skip
