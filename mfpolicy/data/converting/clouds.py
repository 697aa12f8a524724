"""Points or depth images of a recording → the clouds of a dataset, in one place for all formats."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mfpolicy.errors import ConfigError, DataError
from mfpolicy.pointcloud import crop, depth_to_points, sample
from mfpolicy.pointcloud.geometry import metres, pixel_matrix

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


@dataclass(frozen=True)
class CloudMaker:
    """Makes every cloud of a dataset alike: to the world frame, crop, farthest points.

    Attributes:
        points: P.
        crop: None keeps all points.
    """

    points: int
    crop: CropLayout | None = None

    def from_points(
        self, xyz: np.ndarray, rgb: np.ndarray | None, T_world: np.ndarray | None, where: str
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """One cloud.

        Args:
            xyz: (M, 3) metres, in the frame that ``T_world`` leads out of; NaN marks no point.
            rgb: (M, 3) uint8, or None.
            T_world: (4, 4), or None where they are in the world frame.
            where: of which step, for messages.

        Returns:
            (P, 3) float32 and (P, 3) uint8 or None.

        Raises:
            DataError: no point is left.
        """
        points = np.asarray(xyz, np.float64)
        if T_world is not None:
            points = points @ T_world[:3, :3].T + T_world[:3, 3]
        with np.errstate(over="ignore", invalid="ignore"):
            points = points.astype(np.float32)
        kept = np.isfinite(points).all(axis=1)
        if self.crop is not None:
            kept &= crop(np.nan_to_num(points), self.crop.minimum, self.crop.maximum)
        if not kept.any():
            raise DataError(
                f"a cloud must have points{'' if self.crop is None else ' inside the crop box'}",
                received=f"none of {len(points)} {where}",
                remedy="check the frame and the box, or leave the episode out",
            )
        if rgb is None:
            return sample(points[kept], self.points), None
        rows = sample(np.concatenate([points[kept], rgb[kept]], axis=1), self.points)
        return rows[:, :3].copy(), rows[:, 3:].astype(np.uint8)

    def from_depth(
        self,
        depth_m: np.ndarray,
        rgb: np.ndarray | None,
        intrinsics: np.ndarray,
        T_world_cam: np.ndarray,
        where: str,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """One cloud of a depth image (H, W) in metres; 0, NaN and infinity mark no depth.

        Args:
            depth_m: (H, W).
            rgb: (H, W, 3) uint8, or None.
            intrinsics: (3, 3), our convention.
            T_world_cam: (4, 4).
            where: of which step, for messages.

        Returns:
            As :meth:`from_points`.

        Raises:
            DataError: no point is left, or the images differ in size.
        """
        if rgb is not None and rgb.shape[:2] != depth_m.shape:
            raise DataError(
                "color and depth images must have one size",
                received=f"{rgb.shape[:2]} and {depth_m.shape} {where}",
                remedy="align them, or leave camera.color out",
            )
        seen = np.isfinite(depth_m) & (depth_m > 0)
        xyz = depth_to_points(np.where(seen, depth_m, 0), intrinsics)[seen.ravel()]
        colors = None if rgb is None else rgb.reshape(-1, 3)[seen.ravel()]
        return self.from_points(xyz, colors, T_world_cam, where)

    def of_rows(
        self,
        rows: np.ndarray,
        colors: np.ndarray | None,
        T_world: np.ndarray | None,
        index: int,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Clouds of an episode from stored points.

        Args:
            rows: (L, M, 3), or (L, M, 6) with colors 0 to 255.
            colors: (L, M, 3) uint8, or None for those in ``rows``.
            T_world: (4, 4), or None.
            index: number of the episode, for messages.

        Returns:
            (L, P, 3) float32 and (L, P, 3) uint8 or None.

        Raises:
            DataError: no point of a step is left.
        """
        if colors is None and rows.shape[2] == 6:
            colors = np.nan_to_num(rows[..., 3:]).clip(0, 255)
        return self._stacked([
            self.from_points(
                rows[step, :, :3], None if colors is None else colors[step], T_world,
                f"at step {step} of episode {index}",
            )
            for step in range(len(rows))
        ])  # fmt: skip

    def of_images(
        self,
        depth: np.ndarray,
        images: np.ndarray | None,
        camera: CameraLayout,
        matrix: np.ndarray,
        index: int,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Clouds of an episode from depth images.

        Args:
            depth: (L, H, W) or (L, H, W, 1) in units of the camera.
            images: (L, H, W, 3) uint8, or None.
            camera: says the unit and where it is.
            matrix: (3, 3) intrinsics, our convention.
            index: number of the episode, for messages.

        Returns:
            As :meth:`of_rows`.

        Raises:
            DataError: no point of a step is left, or the images differ in size.
        """
        pose = np.asarray(camera.T_world_cam, np.float64)
        return self._stacked([
            self.from_depth(
                metres(depth[step].reshape(depth.shape[1:3]), camera.metres_per_unit),
                None if images is None else images[step], matrix, pose,
                f"at step {step} of episode {index}",
            )
            for step in range(len(depth))
        ])  # fmt: skip

    def _stacked(
        self, made: list[tuple[np.ndarray, np.ndarray | None]]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(L, P, 3) float32 and (L, P, 3) uint8 or None."""
        colors = [color for _, color in made if color is not None]
        return np.stack([xyz for xyz, _ in made]), np.stack(colors) if colors else None


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
