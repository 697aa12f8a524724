"""Meta-World in particular: state, placement, goal markers, crop, experts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import envs
from benchmarks import crop_agreement, expert_success
from envs.camera import OffscreenCamera
from envs.metaworld import MetaWorldSimulation
from envs.suites import load_suite
from mfpolicy.pointcloud import depth_to_points, to_world


def everything(simulation: MetaWorldSimulation) -> list[np.ndarray]:
    """The physical state and the scene, to compare bit for bit."""
    data, model = simulation.data, simulation.model
    fields = (data.qpos, data.qvel, data.act, data.mocap_pos, data.xpos, data.site_xpos)
    return [np.array(field) for field in (*fields, model.body_pos, simulation.full_state())]


@pytest.mark.parametrize("task", ["window-close", "basketball", "peg-insert-side", "stick-pull"])
def test_an_old_and_a_new_simulation_agree_bit_for_bit(task: str) -> None:
    old, new = envs.open_simulation(f"metaworld/{task}"), envs.open_simulation(f"metaworld/{task}")
    generator = np.random.default_rng(0)
    for seed in (1, 2):
        old.reset(seed)
        for _ in range(70):
            old.step(generator.uniform(-1, 1, 4).astype(np.float32))
    for simulation in (old, new):
        simulation.reset(3)
        for _ in range(30):
            simulation.step(simulation.expert_action())
    assert all(np.array_equal(a, b) for a, b in zip(everything(old), everything(new), strict=True))
    old.close()
    new.close()


@pytest.mark.parametrize("task", ["window-close", "window-open", "drawer-open", "push"])
def test_the_first_observation_is_of_the_scene_that_is_seen(task: str) -> None:
    """Meta-World itself reports window-close 0.2 m off at reset."""
    simulation = envs.open_simulation(f"metaworld/{task}")
    simulation.reset(4)
    first = simulation.full_state()
    simulation.step(np.array([0, 0, 0, -1], np.float32))
    moved = simulation.full_state()
    assert np.abs(moved[4:7] - first[4:7]).max() < 0.01
    assert np.array_equal(first[:18], first[18:36])
    simulation.close()


def test_state_is_hand_right_finger_left_finger() -> None:
    simulation = envs.open_simulation("metaworld/reach")
    simulation.reset(0)
    hand, right, left = simulation.agent_pos().reshape(3, 3)
    assert np.allclose(hand, simulation.full_state()[:3], atol=1e-6)
    assert np.allclose(right[[0, 2]], left[[0, 2]], atol=1e-2)  # one beside the other, along y
    wide = left[1] - right[1]
    assert wide > 0.08
    for _ in range(20):
        simulation.step(np.array([0, 0, 0, 1], np.float32))
    _, right, left = simulation.agent_pos().reshape(3, 3)
    assert 0 < left[1] - right[1] < 0.7 * wide
    simulation.close()


def test_seeds_place_objects_over_the_whole_range() -> None:
    simulation = envs.open_simulation("metaworld/reach")
    goals = []
    for seed in range(40):
        simulation.reset(seed)
        goals.append(simulation.full_state()[-3:])
    low, high = np.min(goals, axis=0), np.max(goals, axis=0)
    assert len(np.unique(goals, axis=0)) == 40
    assert (high - low > 0.8 * np.array([0.2, 0.1, 0.25])).all()  # reach: x ±0.1, y, z
    simulation.close()


@pytest.mark.parametrize(
    "task", ["assembly", "coffee-button", "sweep", "faucet-open", "pick-out-of-hole"]
)
def test_goal_markers_stand_at_the_goal(task: str) -> None:
    simulation = envs.open_simulation(f"metaworld/{task}")
    simulation.reset(0)
    marker = {"assembly": "pegTop", "coffee-button": "coffee_goal", "faucet-open": "goal_open"}
    site = simulation.data.site(marker.get(task, "goal"))
    simulation.show_goal()
    assert np.allclose(site.xpos, simulation.full_state()[-3:], atol=1e-6)
    simulation.close()


@pytest.mark.render
@pytest.mark.parametrize("task", ["drawer-open", "reach", "push", "stick-pull", "hand-insert"])
def test_the_crop_box_keeps_the_objects_and_leaves_the_walls(task: str) -> None:
    """DP3's box, as close as one along the axes comes, keeps the walls, and loses nothing else."""
    row = crop_agreement.compare(f"metaworld/{task}", 1, 61, 30)
    assert row["lost"] == 0
    assert row["table"] < 0.15
    assert row["extra"] < (0.3 if task == "stick-pull" else 0.05)
    low = 0.5 if task == "hand-insert" else 0.85  # into its table; drawer-open is cut at the back
    assert row["kept"] > low
    (_, robot, objects), (walls_of_dp3, _, objects_of_dp3) = row["own"], row["dp3"]
    assert robot + objects == crop_agreement.POINTS
    assert walls_of_dp3 > 100
    assert objects > 1.5 * objects_of_dp3


@pytest.mark.render
def test_dp3_keeps_the_scene_and_drops_floor_and_sky() -> None:
    """The other side of the comparison is itself right: its mask is a box turned by 129.5°."""
    recipe = load_suite("metaworld").recipes["metaworld/drawer-open"]
    simulation = envs.open_simulation("metaworld/drawer-open")
    camera = OffscreenCamera(simulation.model, recipe.camera, width=128, height=128)
    simulation.model.cam_pos[camera.camera_id] = recipe.camera_position
    simulation.reset(0)
    depth, pose = camera.depth(simulation.data), camera.T_world_cam(simulation.data)
    mask = crop_agreement.dp3_mask(depth, camera.intrinsics())
    turn = crop_agreement.dp3_rotation() @ np.diag([1, -1, -1]) @ pose[:3, :3].T
    assert np.degrees(np.arctan2(turn[1, 0], turn[0, 0])) == pytest.approx(129.5, abs=0.1)
    assert np.degrees(np.arccos(turn[2, 2])) == pytest.approx(0.56, abs=0.01)
    points = to_world(depth_to_points(depth, camera.intrinsics()), pose)
    assert 3000 < mask.sum() < 5000
    assert np.abs(points[mask]).max() < 1.2
    camera.close()
    simulation.close()


@pytest.mark.parametrize(
    "task", ["drawer-open", "button-press", "door-open", "pick-place", "push-back", "assembly"]
)
def test_experts_succeed_and_the_flag_says_when(task: str) -> None:
    simulation = envs.open_simulation(f"metaworld/{task}")
    horizon = envs.spec(f"metaworld/{task}").horizon
    attempt = expert_success.attempt
    reached = [attempt(simulation, seed, horizon, horizon)[0] for seed in range(3)]
    steps = [step for step in reached if step is not None]
    assert len(steps) >= 2
    assert min(steps) > 10  # the flag is down at the start
    simulation.close()


def test_the_door_opening_expert_goes_past_its_target() -> None:
    simulation = envs.open_simulation("metaworld/door-open")
    attempts = [expert_success.attempt(simulation, s, 200, 200) for s in range(2)]
    assert all(first is not None and not at_horizon for first, at_horizon in attempts)
    simulation.close()


def test_doing_nothing_does_not_succeed() -> None:
    simulation = envs.open_simulation("metaworld/drawer-open")
    simulation.reset(0)
    flags = [simulation.step(np.zeros(4, np.float32)).success for _ in range(60)]
    assert not any(flags)
    simulation.close()


def test_the_published_expert_rates_are_those_of_this_suite() -> None:
    """The committed result covers every task at its horizon, and is repeated for one seed each."""
    published = json.loads(
        max(
            (Path(expert_success.__file__).parent / "results").glob("*expert-success.json")
        ).read_text()
    )
    records = {record["task"]: record for record in published["tasks"]}
    tasks = {task.name: task for task in envs.tasks() if task.suite == "metaworld"}
    assert set(records) == set(tasks)
    assert all(records[name]["horizon"] == task.horizon for name, task in tasks.items())
    attempt = expert_success.attempt
    for name in ("metaworld/handle-press", "metaworld/plate-slide", "metaworld/reach"):
        simulation = envs.open_simulation(name)
        published_step = records[name]["first_success_step"][0]
        first, _ = attempt(simulation, 0, 200, 200)
        assert first == pytest.approx(published_step, abs=2)
        simulation.close()
