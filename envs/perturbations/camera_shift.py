"""A camera that was bumped, and nobody noticed."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from envs.perturbations.base import PERTURBATIONS, Perturbation
from mfpolicy.options import check_range

MAX_DISTANCE_CM = 100.0


@PERTURBATIONS.register("camera_shift")
class CameraShift(Perturbation):
    """Moves the camera while its extrinsics stay those of before.

    The direction is drawn once an episode, uniformly on the sphere; the camera does not turn. All
    points come out displaced by the same vector, the other way, and what hides what is that of the
    new place. The crop box stays where it was. A camera whose new place is known is
    ``camera_view``.

    Args:
        distance_cm: how far, centimetres.

    Raises:
        ConfigError: the distance is out of range.

    Example:
        >>> shift = CameraShift(distance_cm=3)
        >>> shift.begin(10000)
        >>> float(np.linalg.norm(shift.camera_offset_m()).round(6))
        0.03
    """

    name = "camera_shift"
    number = "distance_cm"
    believed: ClassVar[bool] = True

    def __init__(self, *, distance_cm: float = 3.0) -> None:
        check_range("perturbation.distance_cm", distance_cm, 0, MAX_DISTANCE_CM)
        self.distance_cm = float(distance_cm)

    def camera_offset_m(self) -> NDArray[np.float64]:
        """(3,) world frame, metres."""
        direction = self.of_episode().normal(size=3)
        return self.distance_cm / 100 * direction / np.linalg.norm(direction)
