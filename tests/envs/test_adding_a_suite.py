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
    "tasks": {"easy": ["push"]},
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
        assert task == "push"
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
    gymnasium.registry.pop("mfpolicy/ball-push-v0", None)


def test_two_files_make_a_suite() -> None:
    envs._register()
    env = gymnasium.make("mfpolicy/ball-push-v0")
    assert [task.name for task in envs.tasks()] == ["ball/push"]
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


def test_an_empty_crop_box_is_said() -> None:
    env = envs.make("ball/push", crop_min=[5, 5, 5], crop_max=[6, 6, 6])
    with pytest.raises(ObservationError, match="at least one point inside the crop box"):
        env.reset(seed=0)
    env.close()


def test_a_suite_file_without_a_camera_of_the_scene_is_said() -> None:
    with pytest.raises(ConfigError, match="Received: 'bottom'"):
        envs.make("ball/push", camera="bottom")
