"""The recipe of envs/README.md followed to the letter: two files make a suite."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import yaml

import envs
from envs import suites
from mfpolicy.errors import ConfigError, ObservationError

pytestmark = pytest.mark.render

SUITE = {
    "camera": "top",
    "camera_position": [0.0, 0.0, 2.0],
    "image_size": 96,
    "crop_min": [-1, -1, 0.01],
    "crop_max": [1, 1, 1],
    "points": 64,
    "horizon": 20,
    "state_dim": 3,
    "action_dim": 3,
    "control_rate_hz": 50,
    "expert": "proportional",
    "video": {"camera": "top", "size": 32},
    "tasks": {"easy": ["push", "push-tilted"]},
    "of_task": {
        "push-tilted": {
            "camera_position": [0, -2, 2],
            "camera_orientation": [0.92388, 0.382683, 0, 0],  # 45° about x
            "hidden_bodies": ["goal"],
            "points": 48,
            "horizon": 7,
            "video": {"camera": "top", "size": 16},
            "demonstration": {"tail_steps": 3},
        }
    },
}

MODULE = '''
"""A ball that is pulled to a box."""

import mujoco
import numpy as np

from envs.simulation import Outcome

SCENE = """
<mujoco>
  <worldbody>
    <light pos="0 0 3"/>
    <camera name="top"/>
    <geom type="plane" size="2 2 1"/>
    <body name="ball" pos="0 0 0.1">
      <joint type="slide" axis="1 0 0"/><joint type="slide" axis="0 1 0"/>
      <joint type="slide" axis="0 0 1"/>
      <geom type="sphere" size="0.1"/>
    </body>
    <body name="goal"><geom type="box" size="0.1 0.1 0.1" pos="0 0 0.1" contype="0"
      conaffinity="0"/></body>
  </worldbody>
</mujoco>
"""


class BallSimulation:
    def __init__(self, task):
        assert task in ("push", "push-tilted")
        self.model = mujoco.MjModel.from_xml_string(SCENE)
        self.data = mujoco.MjData(self.model)
        self.reset(0)

    def reset(self, seed):
        mujoco.mj_resetData(self.model, self.data)
        self.model.body("goal").pos[:2] = np.random.default_rng(seed).uniform(-0.7, 0.7, 2)
        mujoco.mj_forward(self.model, self.data)

    def step(self, action):
        self.data.qpos += 0.1 * action
        mujoco.mj_forward(self.model, self.data)
        near = np.linalg.norm(self._offset()) < 0.05
        return Outcome(-float(np.linalg.norm(self._offset())), bool(near), terminated=bool(near))

    def agent_pos(self):
        return self.data.body("ball").xpos.astype(np.float32)

    def full_state(self):
        return np.concatenate([self.data.qpos, self.model.body("goal").pos])

    def expert_action(self):
        return np.clip(10 * np.append(self._offset(), 0), -1, 1).astype(np.float32)

    def show_goal(self):
        pass

    def close(self):
        pass

    def _offset(self):
        return self.model.body("goal").pos[:2] - self.data.qpos[:2]


def open_simulation(task):
    return BallSimulation(task)
'''


@pytest.fixture(autouse=True)
def _suite_called_ball(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/ball.yaml").write_text(yaml.safe_dump(SUITE))
    (tmp_path / "ball.py").write_text(MODULE)
    monkeypatch.setattr(suites, "config_dir", lambda: tmp_path)
    monkeypatch.setattr(envs, "__path__", [*envs.__path__, str(tmp_path)])
    suites.load_suite.cache_clear()
    yield
    suites.load_suite.cache_clear()
    for task in ("push", "push-tilted"):
        gymnasium.registry.pop(f"mfpolicy/ball-{task}-v0", None)


def test_two_files_make_a_suite() -> None:
    envs._register()
    env = gymnasium.make("mfpolicy/ball-push-v0")
    assert [task.name for task in envs.tasks()] == ["ball/push", "ball/push-tilted"]
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    for _ in range(SUITE["horizon"]):
        action = env.unwrapped.expert_action()  # type: ignore[attr-defined]
        observation, _, terminated, _, info = env.step(action)
        if terminated:
            break
    assert info["success"]
    env.close()


def test_clouds_lie_on_the_scene_within_a_millimetre() -> None:
    env = envs.make("ball/push", points=400)
    observation, _ = env.reset(seed=1)
    goal = env.observe_full()["full_state"][3:5]
    cloud = observation["point_cloud"]
    outside = np.abs(cloud - [*goal, 0.1]) - 0.1
    on_box = np.linalg.norm(np.maximum(outside, 0), axis=1) + np.minimum(outside.max(axis=1), 0)
    on_ball = np.linalg.norm(cloud - observation["agent_pos"], axis=1) - 0.1
    nearest = np.minimum(np.abs(on_box), np.abs(on_ball))
    assert np.abs(on_box[np.abs(on_box) < np.abs(on_ball)]).max() < 1e-3
    assert nearest.max() < 2e-3
    assert (np.abs(on_box) < 1e-3).sum() > 50
    assert (np.abs(on_ball) < 2e-3).sum() > 50
    env.close()


def test_a_task_of_the_suite_may_differ_in_camera_horizon_and_video() -> None:
    plain, tilted = envs.spec("ball/push"), envs.spec("ball/push-tilted")
    assert (plain.horizon, tilted.horizon) == (20, 7)
    assert (plain.demonstration.tail_steps, tilted.demonstration.tail_steps) == (10, 3)
    env = envs.make("ball/push-tilted", render_mode="rgb_array")
    observation, _ = env.reset(seed=1)
    pose = np.array(env.camera["T_world_cam"])
    half = np.sqrt(0.5)
    assert np.allclose(
        pose[:3], [[1, 0, 0, 0], [0, -half, half, -2], [0, -half, -half, 2]], atol=1e-5
    )
    # The box is hidden from this camera, colours included, and from no other.
    cloud, full = observation["point_cloud"], env.observe_full()
    assert cloud.shape == (48, 3)
    ball = np.linalg.norm(cloud - observation["agent_pos"], axis=1)
    assert np.abs(ball - 0.1).max() < 2e-3
    assert np.array_equal(full["point_cloud"], cloud)
    assert env.render().shape == (16, 16, 3)
    env.close()
    seeing = envs.make("ball/push-tilted", hidden_bodies=[])
    cloud = seeing.reset(seed=1)[0]["point_cloud"]
    assert np.linalg.norm(cloud - observation["agent_pos"], axis=1).max() > 0.2
    assert (seeing._simulation.model.geom_rgba[:, 3] == 1).all()
    seeing.close()


def test_an_empty_crop_box_is_said() -> None:
    env = envs.make("ball/push", crop_min=[5, 5, 5], crop_max=[6, 6, 6])
    with pytest.raises(ObservationError, match="at least one point inside the crop box"):
        env.reset(seed=0)
    env.close()


def test_a_suite_file_without_a_camera_of_the_scene_is_said() -> None:
    with pytest.raises(ConfigError, match="Received: 'bottom'"):
        envs.make("ball/push", camera="bottom")
