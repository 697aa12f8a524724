"""Where a camera stands and which box is kept, as a user's layout says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mfpolicy.errors import ConfigError
from mfpolicy.pointcloud.geometry import pixel_matrix

IDENTITY = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]


@dataclass(frozen=True)
class CropLayout:
    """The box that is kept, world frame, metres.

    Attributes:
        minimum, maximum: its corners, three numbers each.

    Raises:
        ConfigError: they are no corners of a box.
    """

    minimum: list
    maximum: list

    def __post_init__(self) -> None:
        low, high = (numbers(f"crop.{name}", getattr(self, name), (3,))
                     for name in ("minimum", "maximum"))  # fmt: skip
        if not (low < high).all():
            raise ConfigError(
                "crop.minimum must lie below crop.maximum", received=(self.minimum, self.maximum)
            )


@dataclass(frozen=True)
class CameraLayout:
    """A depth camera of a recording.

    Attributes:
        depth: key, topic or feature of its depth images.
        intrinsics: fx, fy, cx, cy in pixels, with (0, 0) the centre of the first pixel as OpenCV
            and ROS have it; None where the recording says them.
        T_world_cam: (4, 4) optical frame (x right, y down, z forward) to world.
        metres_per_unit: of the depth images; None: 0.001 for whole numbers, 1 for others.
        color: key, topic or feature of color images of the same size, aligned with depth.
        info: topic of the camera's parameters (ROS).

    Raises:
        ConfigError: a value does not fit.
    """

    depth: str
    intrinsics: list | None = None
    T_world_cam: list = field(default_factory=lambda: IDENTITY)
    metres_per_unit: float | None = None
    color: str | None = None
    info: str | None = None

    def __post_init__(self) -> None:
        rigid("camera.T_world_cam", self.T_world_cam)
        if self.intrinsics is not None:
            values = numbers("camera.intrinsics", self.intrinsics, (4,))
            if (values[:2] <= 0).any():
                raise ConfigError("focal lengths must be above 0", received=self.intrinsics)
        if self.metres_per_unit is not None and not 0 < self.metres_per_unit < 1e3:
            raise ConfigError("metres_per_unit must be above 0", received=self.metres_per_unit)

    def matrix(self, where: str) -> np.ndarray:
        """(3, 3) intrinsics in our convention, pixel (u, v) covers [u, u+1) × [v, v+1).

        Raises:
            ConfigError: none are given.
        """
        if self.intrinsics is None:
            raise ConfigError(
                f"depth images of {where} need the camera's intrinsics",
                remedy="say camera.intrinsics: [fx, fy, cx, cy] in the layout",
            )
        return pixel_matrix(*map(float, self.intrinsics))


def camera_notes(camera: CameraLayout | None, matrix: np.ndarray | None) -> dict[str, Any] | None:
    """What a dataset's specification says of the camera; None where none is known.

    Args:
        camera: says where it stands.
        matrix: (3, 3) intrinsics, our convention.
    """
    if camera is None or matrix is None:
        return None
    return {"intrinsics": matrix.tolist(), "T_world_cam": camera.T_world_cam}


def rigid(name: str, value: object) -> np.ndarray:
    """(4, 4) of a rigid motion.

    Raises:
        ConfigError: it is none.
    """
    matrix = numbers(name, value, (4, 4))
    turn = matrix[:3, :3]
    if not (
        np.allclose(turn @ turn.T, np.eye(3), atol=1e-3) and np.linalg.det(turn) > 0
        and np.allclose(matrix[3], [0, 0, 0, 1])
    ):  # fmt: skip
        raise ConfigError(
            f"{name} must be a rotation and a translation, last row 0 0 0 1", received=value
        )
    return matrix


def positive(name: str, value: float) -> None:
    """Requires that ``value`` is above 0 and below 100 000.

    Raises:
        ConfigError: it is not.
    """
    if not 0 < value < 1e5:
        raise ConfigError(f"{name} must be above 0 and below 100000", received=value)


def numbers(name: str, value: object, shape: tuple[int, ...]) -> np.ndarray:
    """``value`` as float64 of ``shape``.

    Raises:
        ConfigError: it is not.
    """
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.shape != shape or not np.isfinite(found).all():
        raise ConfigError(f"{name} must be finite numbers of shape {shape}", received=value)
    return found
