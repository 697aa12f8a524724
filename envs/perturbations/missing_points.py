"""Points that are not there: here and there, or all of a region."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.perturbations.base import PERTURBATIONS, Perturbation
from mfpolicy.errors import ConfigError
from mfpolicy.options import check_choice

REGION, SCATTERED = PATTERNS = ("region", "scattered")


@PERTURBATIONS.register("missing_points")
class MissingPoints(Perturbation):
    """Hides a share of the points within the crop box, before sampling.

    ``region`` hides those nearest to one of the points, drawn once an episode from its first
    cloud: a hole that stays where it is, as behind an obstacle or on something that gives no
    depth. ``scattered`` hides points all over, drawn anew at every control step. The camera sees
    more points than a policy takes and sampling fills the gaps, so that scattered points are
    hardly missed before few are left. Both are known from PointCloud-C ("drop local"
    and "drop global", Ren, Pan and Liu, ICML 2022).

    Args:
        fraction: share of the points within the box, in [0, 1); one point is always left.
        pattern: ``region`` or ``scattered``.

    Raises:
        ConfigError: a value is out of range.

    Example:
        >>> holes = MissingPoints(fraction=0.25)
        >>> holes.begin(10000)
        >>> points = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
        >>> int(holes.kept(points, np.ones(100, bool)).sum())
        75
    """

    name = "missing_points"
    number = "fraction"

    def __init__(self, *, fraction: float = 0.25, pattern: str = REGION) -> None:
        if not 0 <= fraction < 1:
            raise ConfigError("perturbation.fraction must lie in [0, 1)", received=fraction)
        check_choice("perturbation.pattern", pattern, PATTERNS)
        self.fraction, self.pattern = float(fraction), pattern
        self._middle: NDArray[np.float32] | None = None  # of the region, once an episode

    def begin(self, seed: int) -> None:
        """Starts the episode of ``seed``; its region is drawn from its first cloud."""
        super().begin(seed)
        self._middle = None

    def kept(
        self, points_world: NDArray[np.float32], inside: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Those of the points inside that are not hidden."""
        pixels = np.flatnonzero(inside)
        if not pixels.size:
            return inside
        hidden = min(round(self.fraction * pixels.size), pixels.size - 1)
        if self.pattern == REGION:
            rank = self._distance(points_world[pixels])
        else:
            rank = self.of_step().random(inside.size)[pixels]  # a pixel's fate is its own
        left = inside.copy()
        left[pixels[np.argsort(rank, kind="stable")[:hidden]]] = False
        return left

    def _distance(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) squared metres from the middle of the region to each of the points (N, 3)."""
        middle = self._middle
        if middle is None:
            middle = self._middle = points[self.of_episode().integers(len(points))].copy()
        return ((points - middle) ** 2).sum(axis=1)
