"""The frame and the unit of the points, judged by the crop box that the recipe names.

The recipe crops in the world frame in metres, so every point lies in its box. Where most do not,
the reasons of practice are tried: millimetres, the camera's own frame, another axis up. Without a
recipe only sizes that no workspace has are told.
"""

from __future__ import annotations

import itertools

import numpy as np

from mfpolicy.data.checking.base import CHECKS, Block, Check
from mfpolicy.data.checking.findings import FindingLog, code
from mfpolicy.data.checking.limits import CheckLimits
from mfpolicy.data.checking.survey import Survey

OUTSIDE = code(
    "cloud-outside-crop", "error", "every point lies in the crop box of the recipe",
    "leave the episode out, or correct the recipe; a policy would be run with other clouds",
)  # fmt: skip
SCALE = code(
    "cloud-scale", "error", "points are in metres",
    "convert the points to metres; a repair does so where the factor is certain", "scale",
)  # fmt: skip
FRAME = code(
    "cloud-frame", "error", "points are in the world frame, z against gravity",
    "turn the points into the world frame before they are stored",
)  # fmt: skip

UNITS = {"millimetres": 1e-3, "centimetres": 1e-2, "kilometres": 1e3}
_LARGEST_M, _SMALLEST_M = 30.0, 5e-3
_POINTS = 64
_INSIDE, _OUTSIDE, _WIDE = 0.97, 0.5, 0.2


@CHECKS.register("frame")
class Frame(Check):
    """Points outside the crop box, and why: the unit, the frame, or some stray points."""

    def __init__(self, survey: Survey, limits: CheckLimits, log: FindingLog) -> None:
        super().__init__(survey, limits, log)
        self._ways = _ways(survey.attributes)
        if survey.recipe is not None:
            tolerance = limits.crop_tolerance_m
            self._low = np.array(survey.recipe.crop_min) - tolerance
            self._high = np.array(survey.recipe.crop_max) + tolerance

    def wants(self, array: str) -> bool:
        """The point clouds of three dimensions."""
        self._begin()
        return array == "point_cloud"

    def _begin(self, episode: int | None = None) -> None:
        self._episode = episode
        self._inside = np.zeros(len(self._ways))
        self._lowest = np.full((len(self._ways), 3), np.inf)
        self._highest = -self._lowest
        self._seen = self._outside = self._steps = 0
        self._first: int | None = None
        self._size = 0.0

    def look(self, block: Block) -> None:
        """Looks at a block."""
        if block.episode != self._episode:  # the end of the one before may lie in a damaged chunk
            self._begin(block.episode)
        xyz = block.values[..., :3].astype(np.float64)  # (n, P, 3)
        odd = ~(np.isfinite(xyz) & (np.abs(xyz) <= self.limits.max_magnitude))
        if odd.any():  # told elsewhere
            center = (self._low + self._high) / 2 if self.survey.recipe is not None else 0.0
            xyz = np.where(odd.any(axis=2, keepdims=True), center, xyz)
        self._steps += len(xyz)
        self._size = max(self._size, float(np.abs(xyz).max(initial=0.0)))
        if self.survey.recipe is not None:
            self._look_at_crop(block, xyz)
        if block.ends:
            self._judge(block.episode)

    def _look_at_crop(self, block: Block, xyz: np.ndarray) -> None:
        out = ~((xyz >= self._low) & (xyz <= self._high)).all(axis=(1, 2))
        if out.any():
            if self._first is None:
                self._first = block.step + int(np.argmax(out))
            self._outside += int(out.sum())
            few = xyz[out][:: max(1, int(out.sum()) // 32), :_POINTS].reshape(-1, 3)
            for at, (_, turn, shift) in enumerate(self._ways):
                moved = few @ turn.T + shift
                self._lowest[at] = np.minimum(self._lowest[at], moved.min(axis=0))
                self._highest[at] = np.maximum(self._highest[at], moved.max(axis=0))
                self._inside[at] += ((moved >= self._low) & (moved <= self._high)).all(axis=1).sum()
            self._seen += len(few)

    def _judge(self, episode: int) -> None:
        place = {"array": "data/point_cloud", "episode": episode}
        if self.survey.recipe is None:
            if self._size > _LARGEST_M or 0 < self._size < _SMALLEST_M:
                what = f"the farthest coordinate is {self._size:.4g}"
                self.log.add(SCALE, what, step=0, steps=self._steps, **place)
                self.log.spoilt.add(episode)
        elif self._first is not None:
            shares = self._inside / self._seen
            # Whatever the points are, a small enough unit puts them all at the origin.
            box = float(np.max(self._high - self._low))
            wide = (self._highest - self._lowest).max(axis=1) > _WIDE * box
            fits = wide & (shares >= _INSIDE)
            fitting = [self._ways[at][0] for at in np.flatnonzero(fits)]
            if shares[0] >= _OUTSIDE or not fitting:
                what = f"{self._outside} of {self._steps} clouds have points outside"
                self.log.add(OUTSIDE, what, step=self._first, steps=self._outside, **place)
                return
            kind = SCALE if fitting[0] in UNITS else FRAME
            what = f"{shares[0]:.0%} of the points lie in the crop box, nearly all would as "
            what += " or ".join(fitting[:3])
            self.log.add(kind, what, step=self._first, steps=self._steps, **place)
            if kind is SCALE and sum(way in UNITS for way in fitting) == 1:
                self.log.factors[episode] = UNITS[fitting[0]]
            elif kind is SCALE:
                self.log.spoilt.add(episode)


def _ways(attributes: dict) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """What points may be instead of metres in the world frame, likelier first, and the way to it.

    Each is a name, a matrix (3, 3) and a shift (3,); the first leaves them as they are.
    """
    nothing, eye = np.zeros(3), np.eye(3)
    ways = [("metres in the world frame", eye, nothing)]
    ways += [(unit, factor * eye, nothing) for unit, factor in UNITS.items()]
    camera = attributes.get("camera")
    pose = _pose(camera.get("T_world_cam") if isinstance(camera, dict) else None)
    if pose is not None:
        for unit, factor in (("metres", 1.0), ("millimetres", 1e-3)):
            ways.append((f"{unit} in the camera's frame", factor * pose[:3, :3], pose[:3, 3]))
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            turn = np.zeros((3, 3))
            turn[range(3), order] = signs
            if np.linalg.det(turn) > 0 and not np.array_equal(turn, eye):
                up = "xyz"[order[2]]
                name = f"metres with {'-' if signs[2] < 0 else ''}{up} up"
                ways.append((name, turn, nothing))
                ways.append((name.replace("metres", "millimetres"), 1e-3 * turn, nothing))
    return ways


def _pose(value: object) -> np.ndarray | None:
    try:
        pose = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return pose if pose.shape == (4, 4) and np.isfinite(pose).all() else None
