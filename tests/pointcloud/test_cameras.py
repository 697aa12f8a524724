"""One cloud of several cameras: their points joined, or kept apart in turns."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mfpolicy.errors import DataError, ObservationError
from mfpolicy.pointcloud import (
    CameraView,
    PointCloudRecipe,
    cloud_from_depth,
    cloud_of_cameras,
    points_from_depth,
    sample,
)

RECIPE = PointCloudRecipe(
    "top",
    (0, 0, 0),
    8,
    (-1, -1, 0),
    (1, 1, 2),
    points=12,
    further_cameras=(CameraView("side", (1, 0, 0)), CameraView("low", (0, 0, -1))),
)
APART = dataclasses.replace(RECIPE, clouds="apart")


@pytest.fixture
def seen() -> list[np.ndarray]:
    """Of each of three cameras, its number in the fourth channel; more and fewer than its share."""
    drawn = np.random.default_rng(0)
    return [
        np.column_stack([drawn.random((count, 3)), np.full(count, camera)])
        for camera, count in enumerate((300, 2, 40))
    ]


def test_merged_is_the_sample_of_all_points_together(seen: list[np.ndarray]) -> None:
    assert np.array_equal(cloud_of_cameras(seen, RECIPE), sample(np.concatenate(seen), 12))


def test_apart_each_camera_has_its_own_sample_in_turns(seen: list[np.ndarray]) -> None:
    cloud = cloud_of_cameras(seen, APART)
    assert cloud.shape == (12, 4)
    for camera, points in enumerate(seen):
        assert np.array_equal(cloud[camera::3], sample(points, 4))


def test_a_prefix_of_the_cloud_is_the_cloud_of_fewer_points(seen: list[np.ndarray]) -> None:
    for recipe in (RECIPE, APART):
        fewer = dataclasses.replace(recipe, points=6)
        assert np.array_equal(cloud_of_cameras(seen, recipe)[:6], cloud_of_cameras(seen, fewer))


def test_one_camera_that_sees_nothing_is_no_matter_where_clouds_are_merged(
    seen: list[np.ndarray],
) -> None:
    seen[1] = seen[1][:0]
    assert np.array_equal(
        cloud_of_cameras(seen, RECIPE), sample(np.concatenate([seen[0], seen[2]]), 12)
    )
    with pytest.raises(ObservationError, match="every camera needs a point.*none of side"):
        cloud_of_cameras(seen, APART)


def test_every_camera_is_needed(seen: list[np.ndarray]) -> None:
    with pytest.raises(ObservationError, match="every camera .*2 of top, side, low"):
        cloud_of_cameras(seen[:2], APART)
    with pytest.raises(ObservationError, match="every camera .*1 of top, side, low"):
        cloud_from_depth(np.ones((8, 8)), [[8, 0, 4], [0, 8, 4], [0, 0, 1]], np.eye(4), RECIPE)


def test_points_of_a_depth_image_are_those_inside_the_box() -> None:
    intrinsics = [[8, 0, 4], [0, 8, 4], [0, 0, 1]]
    depth = np.ones((8, 8))
    depth[0, 0] = 0  # saw nothing
    box = dataclasses.replace(RECIPE, further_cameras=(), crop_min=(-1, -1, 0.5))
    points = points_from_depth(depth, intrinsics, np.eye(4), box)
    assert points.shape == (63, 3)
    assert len(points_from_depth(3 * depth, intrinsics, np.eye(4), box)) == 0  # behind the box
    assert np.array_equal(cloud_from_depth(depth, intrinsics, np.eye(4), box), sample(points, 12))


def test_a_number_of_points_that_cannot_be_divided_is_refused() -> None:
    APART.check_points(6)
    RECIPE.check_points(7)
    for points, near in ((7, 6), (1, 3)):
        with pytest.raises(DataError, match=f"{points} points, 3 cameras.*take {near} points"):
            APART.check_points(points)
