"""Adroit beside plain gymnasium-robotics: same physics and flags; DP3's rules and crop."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium
import gymnasium_robotics
import mujoco
import numpy as np
import pytest

import envs
from benchmarks.adroit_crop import dp3_mask
from envs.adroit import AdroitSimulation
from envs.camera import OffscreenCamera
from envs.suites import load_suite
from mfpolicy.pointcloud import crop, depth_to_points, to_world

TASKS = [task.name for task in envs.tasks() if task.suite == "adroit"]
CONTROL_STEPS = 60


@pytest.fixture(scope="module", params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    return request.param.removeprefix("adroit/")


@pytest.fixture(scope="module")
def simulation(task: str) -> Iterator[AdroitSimulation]:
    made = AdroitSimulation(task)
    yield made
    made.close()


@pytest.fixture(scope="module")
def plain(task: str) -> Iterator[gymnasium.Env]:
    gymnasium.register_envs(gymnasium_robotics)
    made = gymnasium.make(f"AdroitHand{task.capitalize()}-v1", disable_env_checker=True).unwrapped
    yield made
    made.close()


def some_actions(simulation: AdroitSimulation, seed: int) -> np.ndarray:
    """(T, A) held for a few steps each, so that the hand gets somewhere."""
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-1, 1, (CONTROL_STEPS // 5, simulation.model.nu)).astype(np.float32)
    return np.repeat(actions, 5, axis=0)


def put(simulation: AdroitSimulation, joint: str, value: float) -> None:
    simulation.data.joint(joint).qpos = value
    mujoco.mj_forward(simulation.model, simulation.data)


def test_two_steps_of_gymnasium_robotics_are_one_of_ours_bit_for_bit(simulation, plain) -> None:
    simulation.reset(99)
    for action in some_actions(simulation, 1):
        simulation.step(action)
    for seed in (4, 5):
        observation, _ = plain.reset(seed=seed)
        simulation.reset(seed)
        assert np.array_equal(simulation.full_state(), observation)
        for action in some_actions(simulation, seed):
            outcome = simulation.step(action)
            flags = []
            for _ in range(2):
                observation, _, _, _, info = plain.step(action)
                flags.append(bool(info["success"]))
            if outcome.terminated:
                break
            assert np.array_equal(simulation.full_state(), observation)
            assert np.array_equal(simulation.data.qpos, plain.data.qpos)
            assert np.array_equal(simulation.data.qvel, plain.data.qvel)
            assert outcome.flags["gymnasium"] == any(flags)
            assert outcome.reward == float(outcome.success)


def test_bodies_stand_where_the_joints_are(simulation) -> None:
    simulation.reset(3)
    for action in some_actions(simulation, 3)[:12]:
        simulation.step(action)
    model, data = simulation.model, simulation.data
    seen = [data.xpos.copy(), data.site_xpos.copy(), data.geom_xmat.copy(), data.cam_xpos.copy()]
    mujoco.mj_forward(model, data)
    now = [data.xpos, data.site_xpos, data.geom_xmat, data.cam_xpos]
    assert all(np.array_equal(a, b) for a, b in zip(seen, now, strict=True))


def test_the_state_is_the_24_joints_of_wrist_and_fingers(simulation) -> None:
    model = simulation.model
    simulation.reset(1)
    joints = [model.joint(index).name for index in range(model.njnt)]
    first = joints.index("WRJ1")
    assert joints[first + 23] == "THJ0"
    values = np.float32(simulation.data.qpos[first : first + 24])
    assert np.array_equal(simulation.agent_pos(), values)


def test_door_is_open_beyond_80_degrees() -> None:
    simulation = AdroitSimulation("door")
    rest = np.zeros(28, np.float32)
    for angle_rad, theirs, ours in ((1.2, False, False), (1.39, True, False), (1.5, True, True)):
        simulation.reset(0)
        put(simulation, "door_hinge", angle_rad)
        outcome = simulation.step(rest)
        assert (outcome.flags["gymnasium"], outcome.success) == (theirs, ours)
        assert not outcome.terminated
    simulation.close()


def test_held_is_more_than_25_steps_of_gymnasium_robotics() -> None:
    simulation = AdroitSimulation("door")
    simulation.reset(0)
    held = []
    for _ in range(15):
        put(simulation, "door_hinge", 1.5)
        held.append(simulation.step(np.zeros(28, np.float32)).flags["gymnasium_held"])
    assert held == [False] * 12 + [True] * 3  # 24 steps after twelve, 26 after thirteen
    simulation.reset(0)
    assert not simulation.step(np.zeros(28, np.float32)).flags["gymnasium_held"]
    simulation.close()


def test_pen_counts_when_aligned_wherever_it_is_and_ends_when_dropped() -> None:
    simulation = AdroitSimulation("pen")
    simulation.reset(0)
    model, data = simulation.model, simulation.data
    model.body("target").quat[:] = model.body("Object").quat  # what it is when it starts
    mujoco.mj_forward(model, data)
    aligned = simulation.step(np.zeros(24, np.float32))
    assert aligned.success
    assert not aligned.terminated
    simulation.reset(0)
    model.body("target").quat[:] = model.body("Object").quat
    put(simulation, "OBJTx", -0.2)  # above the hand, far from where it should be
    away = simulation.step(np.zeros(24, np.float32))
    assert (away.success, away.flags["gymnasium"], away.terminated) == (True, False, False)
    put(simulation, "OBJTx", 0.2)  # 5 cm high
    fallen = simulation.step(np.zeros(24, np.float32))
    assert (fallen.success, fallen.terminated) == (True, True)
    simulation.close()


@pytest.mark.parametrize("offset_m", [0.009, 0.011])
def test_nail_and_ball_need_to_be_within_their_distance(offset_m: float) -> None:
    hammer = AdroitSimulation("hammer")
    hammer.reset(0)
    data = hammer.data
    depth_m = np.linalg.norm(data.site("S_target").xpos - data.site("nail_goal").xpos)
    put(hammer, "nail_dir", depth_m - offset_m)
    assert hammer.step(np.zeros(26, np.float32)).success == (offset_m < 0.01)
    hammer.close()
    ball = AdroitSimulation("relocate")
    ball.reset(0)
    offset = np.array([10 * offset_m, 0, 0])
    ball.model.site("target").pos[:] = ball.data.body("Object").xpos + offset
    assert ball.step(np.zeros(30, np.float32)).success == (offset_m < 0.01)
    ball.close()


@pytest.mark.render
@pytest.mark.parametrize(("task", "count"), [("door", 1668), ("hammer", 452), ("pen", 671)])
def test_the_crop_keeps_the_points_that_dp3s_keeps(task: str, count: int) -> None:
    recipe = load_suite("adroit").recipes[f"adroit/{task}"]
    env = envs.make(f"adroit/{task}", image_size=84, points=8)
    simulation = env._simulation
    camera = OffscreenCamera(simulation.model, recipe.camera, width=84, height=84)
    counts = []
    for seed in range(6):
        env.reset(seed=seed)
        depth_m = camera.depth(simulation.data)
        world = to_world(
            depth_to_points(depth_m, camera.intrinsics()), camera.T_world_cam(simulation.data)
        )
        ours = crop(world, recipe.crop_min, recipe.crop_max)
        theirs = dp3_mask(task, depth_m, camera.intrinsics())
        assert (ours != theirs).sum() <= 2  # at the plane, to float32
        counts.append(int(ours.sum()))
    assert 0.8 * count < np.median(counts) < 1.2 * count
    camera.close()
    env.close()
