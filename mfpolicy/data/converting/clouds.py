"""Points or depth images of a recording → the clouds of a dataset, in one place for all formats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mfpolicy.data.converting.placing import CameraLayout, CropLayout
from mfpolicy.errors import DataError
from mfpolicy.pointcloud import crop, depth_to_points, sample
from mfpolicy.pointcloud.geometry import metres

DEFAULT_POINTS = 1024
"""P where neither the user nor the recording says a number."""
_FARTHEST_M = 1e6  # beyond that a distance squared loses its digits


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
        farthest = float(np.abs(points[kept]).max())
        if farthest > _FARTHEST_M:
            raise DataError(
                f"points must lie within {_FARTHEST_M:.0e} m of the origin",
                received=f"{farthest:.3g} m {where}",
                remedy="check the unit, or crop",
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
            DataError: no point is left, or the colors are not (H, W, 3) uint8.
        """
        if rgb is not None and (rgb.shape != (*depth_m.shape, 3) or rgb.dtype != np.uint8):
            raise DataError(
                "color images must be (H, W, 3) uint8, of one size with the depth images",
                received=f"{rgb.dtype} {rgb.shape}, depth {depth_m.shape} {where}",
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
            DataError: no point of a step is left, or the images are of another shape.
        """
        if depth.ndim not in (3, 4) or (depth.ndim == 4 and depth.shape[3] != 1):
            raise DataError(
                f"'{camera.depth}' must be depth images, (L, H, W) or (L, H, W, 1)",
                received=depth.shape,
                remedy="name the depth in camera.depth of the layout",
            )
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
