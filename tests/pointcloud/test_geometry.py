"""Unprojection, frames and crop: round trips and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from mfpolicy.errors import ObservationError
from mfpolicy.pointcloud import crop, depth_to_points, to_world

INTRINSICS = np.array([[50.0, 0, 12.0], [0, 40.0, 9.0], [0, 0, 1]])


def rigid(seed: int = 0) -> np.ndarray:
    """A random rigid transform (4, 4)."""
    generator = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    transform = np.eye(4)
    transform[:3, :3] = rotation * np.sign(np.linalg.det(rotation))
    transform[:3, 3] = generator.normal(size=3)
    return transform


def test_points_project_back_to_pixel_centers_with_their_depth() -> None:
    depth = np.random.default_rng(0).uniform(0.3, 2.0, (18, 24)).astype(np.float32)
    points = depth_to_points(depth, INTRINSICS)
    assert points.dtype == np.float32
    pixels = points @ INTRINSICS.T
    u, v = (pixels[:, :2] / pixels[:, 2:]).T
    rows, columns = np.divmod(np.arange(18 * 24), 24)
    assert np.allclose(u, columns + 0.5, atol=1e-4)
    assert np.allclose(v, rows + 0.5, atol=1e-4)
    assert np.array_equal(points[:, 2], depth.ravel())


def test_a_slanted_plane_stays_a_plane() -> None:
    normal, offset = np.array([0.3, -0.2, 1.0]), 1.5
    rows, columns = np.mgrid[:18, :24] + 0.5
    rays = np.stack([(columns - 12) / 50, (rows - 9) / 40, np.ones((18, 24))], axis=-1)
    points = depth_to_points(offset / (rays @ normal), INTRINSICS)
    assert np.allclose(points @ normal, offset, atol=1e-5)


def test_to_world_is_undone_by_the_inverse_and_keeps_distances() -> None:
    points, transform = np.random.default_rng(1).normal(size=(50, 3)), rigid()
    moved = to_world(points, transform)
    assert np.allclose(to_world(moved, np.linalg.inv(transform)), points, atol=1e-5)
    assert np.allclose(
        np.linalg.norm(moved[1:] - moved[:-1], axis=1),
        np.linalg.norm(points[1:] - points[:-1], axis=1),
        atol=1e-5,
    )
    assert np.allclose(to_world(np.zeros((1, 3)), transform), transform[:3, 3])


def test_crop_keeps_the_open_box_and_looks_at_xyz_alone() -> None:
    points = np.array(
        [[0, 0, 0, 9], [0.99, 0, 0, 9], [1, 0, 0, 9], [0, -1, 0, 9], [0, 0, 2, 9]], np.float32
    )
    mask = crop(points, (-1, -1, -1), (1, 1, 1))
    assert mask.tolist() == [True, True, False, False, False]
    assert np.array_equal(mask, crop(points[:, :3], (-1, -1, -1), (1, 1, 1)))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: depth_to_points(np.ones(5), INTRINSICS), r"\(H, W\)"),
        (lambda: depth_to_points(np.ones((2, 2)), np.eye(4)), r"\(3, 3\)"),
        (lambda: depth_to_points([[1.0, np.nan]], INTRINSICS), "finite"),
        (lambda: to_world(np.ones((5, 4)), np.eye(4)), r"\(M, 3\)"),
        (lambda: to_world(np.ones((5, 3)), np.eye(3)), r"\(4, 4\)"),
        (lambda: crop(np.ones((5, 2)), (0, 0, 0), (1, 1, 1)), r"\(M, 3 or more\)"),
    ],
)
def test_wrong_shapes_are_refused(call: object, said: str) -> None:
    with pytest.raises(ObservationError, match=said):
        call()  # type: ignore[operator]
