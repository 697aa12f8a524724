"""A camera at another place, which is known."""

from __future__ import annotations

from typing import ClassVar

from envs.perturbations.base import PERTURBATIONS
from envs.perturbations.camera_shift import CameraShift


@PERTURBATIONS.register("camera_view")
class CameraView(CameraShift):
    """Moves the camera and tells: its extrinsics are right again, as after a new calibration.

    Points are where they are, but others are seen. Directions are those of ``camera_shift``.

    Args:
        distance_cm: how far, centimetres.

    Raises:
        ConfigError: the distance is out of range.

    Example:
        >>> CameraView(distance_cm=3).believed
        False
    """

    name = "camera_view"
    believed: ClassVar[bool] = False
