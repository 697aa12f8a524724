"""What starts a closed loop: parameters that fit the robot, environments that are there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import envs
from envs.robot import World
from mfpolicy.config import compose
from mfpolicy.config import robot as config
from mfpolicy.errors import BackendError, ConfigError, RunError
from mfpolicy.options import parse_options
from real_robot.core.perception import pose_matrix
from real_robot.node_settings import NodeSettings
from real_robot.parameters import RobotParameters
from real_robot.simulated import (
    LoopPlace,
    PolicyProcess,
    bridge_parameters,
    environments,
    robot,
    ros_python,
)
from real_robot.simulated.bridge import quaternion_xyzw


@pytest.fixture(scope="module", params=["metaworld/reach", "adroit/door"])
def world(request):
    made = World(envs.make(request.param, color=True))
    made.env.close()
    return {**made.described(), "clock": "simulated"}


@pytest.mark.parametrize("camera", ["depth", "cloud"])
def test_the_controllers_parameters_fit_the_robot(world, camera):
    told = bridge_parameters(world, camera=camera, server="ws://127.0.0.1:1", steps_hz=10)
    assert told.pop("use_sim_time")
    names = {each.name for each in dataclasses.fields(RobotParameters)}
    parameters = parse_options(
        RobotParameters, {name: told[name] for name in told if name in names}
    )
    settings = parse_options(NodeSettings, {name: told[name] for name in told if name not in names})
    settings.check(parameters)
    spec = envs.spec(world["task"])
    assert len(parameters.state_elements) == spec.state_dim
    assert len(parameters.action_scale) == spec.action_dim
    assert bool(settings.color_topic) == (camera == "depth")
    pose = pose_matrix(parameters.camera_position, parameters.camera_orientation_xyzw)
    np.testing.assert_allclose(pose, world["camera"]["T_world_cam"], atol=1e-9)


def test_every_rotation_has_its_quaternion():
    for seed in range(20):
        q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
        rotation = q * np.sign(np.linalg.det(q))
        for turn in (rotation, np.diag([1.0, -1.0, -1.0]), np.eye(3)):
            found = pose_matrix(np.zeros(3), quaternion_xyzw(turn))[:3, :3]
            np.testing.assert_allclose(found, turn, atol=1e-12)


def test_what_is_missing_or_unknown_is_said_with_what_to_do(tmp_path):
    with pytest.raises(BackendError, match="ros_environments.sh"):
        ros_python("jazzy", tmp_path)
    with pytest.raises(ConfigError, match="jazzy, kilted"):
        ros_python("humble", tmp_path)
    with pytest.raises(ConfigError, match="domain_id"):
        LoopPlace(tmp_path, 200)


def test_a_process_that_does_not_answer_in_time_is_given_up_with_what_to_do(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o755)
    with pytest.raises(BackendError, match=r"within 0\.2 s.*start it by hand"):
        environments.ros_versions(python, timeout_s=0.2)
    with pytest.raises(RunError, match=r"within 0\.001 s(.|\n)*mfpolicy serve run=there"):
        PolicyProcess(LoopPlace(tmp_path), "there", timeout_s=0.001)


def test_the_command_offers_what_there_is():
    assert config.DISTRIBUTIONS == environments.DISTRIBUTIONS
    assert (config.CAMERAS, config.CLOCKS) == (robot.CAMERAS, robot.CLOCKS)
    LoopPlace(Path(), config.LARGEST_DOMAIN)


def test_a_controller_on_the_computers_clock_cannot_be_slowed_down():
    with pytest.raises(ConfigError, match="realtime_factor must be 1"):
        compose("robot", ["run", "clock=system"])
    assert compose("robot", ["run", "clock=system", "realtime_factor=1"]).clock == "system"
