"""Depth and color against a scene whose geometry is known."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np
import pytest

from envs.camera import OffscreenCamera
from envs.raycast import RayCamera
from mfpolicy.errors import ConfigError, ObservationError
from mfpolicy.pointcloud import depth_to_points, to_world

pytestmark = pytest.mark.render

BOX_CENTER, BOX_HALF = np.array([0.1, -0.05, 0.08]), np.array([0.12, 0.07, 0.08])
BALL_CENTER, BALL_RADIUS = np.array([-0.25, 0.1, 0.1]), 0.1
SCENE = """
<mujoco>
  <statistic extent="2"/>
  <worldbody>
    <light pos="0 0 3"/>
    <camera name="oblique" pos="0.5 -0.6 0.7" xyaxes="0.77 0.64 0 -0.35 0.43 0.83" fovy="35"/>
    <camera name="top" pos="0 0 1.2" fovy="60"/>
    <geom name="floor" type="plane" size="4 4 1" rgba="0.5 0.5 0.5 1"/>
    <geom name="box" type="box" pos="0.1 -0.05 0.08" size="0.12 0.07 0.08" rgba="1 0 0 1"/>
    <geom name="ball" type="sphere" pos="-0.25 0.1 0.1" size="0.1" rgba="0 0 1 1"/>
  </worldbody>
</mujoco>
"""


@pytest.fixture(scope="module")
def scene() -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


@pytest.fixture(params=[("oblique", 128, 128), ("top", 96, 160)], ids=["oblique", "top"])
def camera(
    request: pytest.FixtureRequest, scene: tuple[mujoco.MjModel, mujoco.MjData]
) -> Iterator[OffscreenCamera]:
    name, height, width = request.param
    camera = OffscreenCamera(scene[0], name, width=width, height=height)
    yield camera
    camera.close()


def points_of(camera: OffscreenCamera, data: mujoco.MjData) -> np.ndarray:
    points = depth_to_points(camera.depth(data), camera.intrinsics())
    return to_world(points, camera.T_world_cam(data))


def surface_distances(points: np.ndarray) -> np.ndarray:
    """(M, 3) signed distances to floor, box and ball."""
    outside = np.abs(points - BOX_CENTER) - BOX_HALF
    box = np.linalg.norm(np.maximum(outside, 0), axis=1) + np.minimum(outside.max(axis=1), 0)
    ball = np.linalg.norm(points - BALL_CENTER, axis=1) - BALL_RADIUS
    return np.stack([points[:, 2], box, ball], axis=1)


def test_every_point_lies_on_a_surface(
    camera: OffscreenCamera, scene: tuple[mujoco.MjModel, mujoco.MjData]
) -> None:
    distance = surface_distances(points_of(camera, scene[1]))
    nearest = np.abs(distance).min(axis=1)
    # The ball is drawn as a polyhedron inside the sphere; faces are exact.
    on_ball = np.abs(distance).argmin(axis=1) == 2
    assert nearest[~on_ball].max() < 1e-4
    assert nearest[on_ball].max() < 2e-3
    assert np.bincount(np.abs(distance).argmin(axis=1), minlength=3).min() > 50


def test_depth_agrees_with_rays_cast_through_pixel_centers(
    camera: OffscreenCamera, scene: tuple[mujoco.MjModel, mujoco.MjData]
) -> None:
    model, data = scene
    depth, pose = camera.depth(data), camera.T_world_cam(data)
    rays = depth_to_points(np.ones_like(depth), camera.intrinsics()) @ pose[:3, :3].T
    hit = np.zeros(1, np.int32)
    chosen = np.random.default_rng(0).choice(depth.size, 400, replace=False)
    cast = np.array(
        [
            mujoco.mj_ray(model, data, pose[:3, 3], rays[i].astype(float), None, 1, -1, hit)
            for i in chosen
        ]
    )
    error = np.abs(cast - depth.ravel()[chosen])
    assert np.median(error) < 1e-5
    assert (error > 2e-3).mean() < 0.02  # pixels that an edge passes through


def test_color_and_depth_look_the_same_way(
    camera: OffscreenCamera, scene: tuple[mujoco.MjModel, mujoco.MjData]
) -> None:
    distance = surface_distances(points_of(camera, scene[1]))
    colors = camera.color(scene[1]).reshape(-1, 3).astype(int)
    red, blue = colors[:, 0] - colors[:, 2] > 30, colors[:, 2] - colors[:, 0] > 30
    assert (np.abs(distance[red, 1]) < 2e-3).mean() > 0.97
    assert (np.abs(distance[blue, 2]) < 3e-3).mean() > 0.97
    assert red.sum() > 100
    assert blue.sum() > 100


def test_cameras_do_not_disturb_one_another(
    scene: tuple[mujoco.MjModel, mujoco.MjData],
) -> None:
    model, data = scene
    first = OffscreenCamera(model, "oblique", width=64, height=64)
    alone = first.depth(data)
    second = OffscreenCamera(model, "top", width=200, height=100, antialias=True)
    picture = second.color(data)
    assert np.array_equal(first.depth(data), alone)
    second.close()
    assert np.array_equal(first.depth(data), alone)
    third = OffscreenCamera(model, "top", width=200, height=100, antialias=True)
    assert np.array_equal(third.color(data), picture)
    first.close()
    assert np.array_equal(third.color(data), picture)
    third.close()


def test_closing_twice_is_harmless_and_use_afterwards_an_error(
    scene: tuple[mujoco.MjModel, mujoco.MjData],
) -> None:
    for kind in (OffscreenCamera, RayCamera):
        camera = kind(scene[0], "top", width=8, height=8)
        assert camera.depth(scene[1]).shape == (8, 8)
        camera.close()
        camera.close()
        for use in (camera.depth, camera.color):
            with pytest.raises(ObservationError, match="after it was closed"):
                use(scene[1])


def test_the_model_keeps_its_settings(scene: tuple[mujoco.MjModel, mujoco.MjData]) -> None:
    model, data = scene
    before = (
        model.vis.quality.offsamples,
        model.vis.quality.shadowsize,
        model.vis.global_.offwidth,
    )
    camera = OffscreenCamera(model, "top", width=800, height=32)
    assert camera.depth(data).shape == (32, 800)
    camera.close()
    after = (model.vis.quality.offsamples, model.vis.quality.shadowsize, model.vis.global_.offwidth)
    assert before == after


def test_an_unknown_camera_gives_the_nearest_name(
    scene: tuple[mujoco.MjModel, mujoco.MjData],
) -> None:
    with pytest.raises(ConfigError, match="did you mean 'oblique'"):
        OffscreenCamera(scene[0], "oblik", width=8, height=8)
