"""The camera of a dataset as matrices, where it says them."""

from __future__ import annotations

import numpy as np

from mfpolicy.data.schema import DatasetSpec


def camera_matrices(spec: DatasetSpec) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns intrinsics (3, 3), pixels, and T_world_cam (4, 4), metres; both float64.

    The camera frame is the optical one: x right, y down, z forward. None where the dataset does
    not say them, or what it says are no such matrices.
    """
    camera = spec.camera or {}
    intrinsics, pose = (_matrix(camera.get(name)) for name in ("intrinsics", "T_world_cam"))
    if (intrinsics.shape, pose.shape) != ((3, 3), (4, 4)) or not intrinsics[[0, 1], [0, 1]].all():
        return None
    return intrinsics, pose


def _matrix(value: object) -> np.ndarray:
    try:
        matrix = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return np.empty(0)
    return matrix if np.isfinite(matrix).all() else np.empty(0)
