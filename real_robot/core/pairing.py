"""`DepthPairs`: a depth image, its CameraInfo and the color image of the same moment."""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any

from real_robot.causes import Cause, Refusals
from real_robot.core.perception import DepthView

SAME_PICTURE_S = 0.02
_KEPT = 4  # images that wait for their partner; more than a driver holds one of both back


class DepthPairs:
    """Puts together what a depth camera sends apart, in whatever order it comes.

    A depth image is given out once, with the color image nearest to its stamp, at most
    ``SAME_PICTURE_S`` from it, as soon as no nearer one can come: one of the same stamp, or a later
    one, is there, or it is nearer than half the time between color images. One that is passed over,
    since it has no CameraInfo yet, or since a later one found its color before, is counted.

    Args:
        refusals: counts them.
        has_color: whether a depth image waits for a color image; else it is given out alone.

    Example:
        >>> pairs = DepthPairs(Refusals(), has_color=True)
        >>> pairs.info("info")
        >>> pairs.depth("depth", stamp_s=1.0) is None
        True
        >>> view, stamp_s = pairs.color("color", stamp_s=1.01)
        >>> (view.image, view.info, view.color, stamp_s)
        ('depth', 'info', 'color', 1.0)
    """

    def __init__(self, refusals: Refusals, *, has_color: bool) -> None:
        self._refusals, self._has_color = refusals, has_color
        self._info: Any = None
        self._depths: deque[tuple[float, Any]] = deque()
        self._colors: deque[tuple[float, Any]] = deque(maxlen=_KEPT)

    def info(self, message: Any) -> None:
        """Takes the CameraInfo of all depth images from now on."""
        self._info = message

    def depth(self, image: Any, *, stamp_s: float) -> tuple[DepthView, float] | None:
        """Takes a depth image; gives the view that it completes, with its stamp."""
        if self._info is None:
            self._refusals.add(Cause.NO_CAMERA_INFO)
            return None
        if not self._has_color:
            return DepthView(image, self._info), stamp_s
        self._depths.append((stamp_s, image))
        found = self._found()
        if found is None and len(self._depths) > _KEPT:
            self._pass_over()
        return found

    def color(self, image: Any, *, stamp_s: float) -> tuple[DepthView, float] | None:
        """Takes a color image; gives the view that it completes, with the depth's stamp."""
        self._colors.append((stamp_s, image))
        return self._found()

    def _found(self) -> tuple[DepthView, float] | None:
        """The newest depth image that has its color, which is taken out with those before it."""
        for depth in reversed(self._depths):
            color = self._color_of(depth[0])
            if color is not None:
                return self._completed(depth, color)
        return None

    def _color_of(self, stamp_s: float) -> Any:
        """The color image of a depth image's stamp; None where a nearer one may still come."""
        near = min(self._colors, key=lambda each: abs(each[0] - stamp_s), default=None)
        if near is None or abs(near[0] - stamp_s) > SAME_PICTURE_S:
            return None
        stamps_s = sorted({each[0] for each in self._colors})
        period_s = min((b - a for a, b in itertools.pairwise(stamps_s)), default=0.0)
        is_sure = stamps_s[-1] >= stamp_s or stamp_s - near[0] <= period_s / 2
        return near[1] if is_sure else None

    def _completed(self, depth: tuple[float, Any], color: Any) -> tuple[DepthView, float]:
        while self._depths[0] is not depth:
            self._pass_over()
        stamp_s, image = self._depths.popleft()
        return DepthView(image, self._info, color), stamp_s

    def _pass_over(self) -> None:
        stamp_s, _ = self._depths.popleft()
        apart_s = min((abs(each - stamp_s) for each, _ in self._colors), default=None)
        met = "no color image" if apart_s is None else f"the nearest {apart_s * 1e3:.0f} ms apart"
        self._refusals.add(Cause.UNPAIRED_DEPTH, met)
