"""The recorder over real ROS 2: demonstrated in one distribution, recorded in the other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from mfpolicy.data.checking.check import check_dataset
from mfpolicy.data.store import open_dataset
from oracles.demonstrated import BOX
from oracles.robot_arm import LIMITS
from oracles.ros_environments import ros_environments
from oracles.ros_processes import Asked, ros, ros_variables

PARAMETERS = {
    "cloud_topic": "/cloud", "cloud_frame": "camera", "command_topic": "/commands",
    "camera_position": [0.0, 0.0, 0.0],
    "action_topic": "/leader", "joints": ["a", "b"], "min_points": 8, "points": 64,
    "diagnostics_hz": 5.0, **LIMITS, **BOX,
    # slow enough for a machine that is busy with other tests
    "rate_hz": 4.0, "joints_timeout_s": 1.0, "joints_max_age_s": 1.0, "cloud_timeout_s": 1.0,
    "cloud_max_age_s": 1.0, "command_timeout_s": 1.0,
}  # fmt: skip


class Demonstration(Asked):
    """A demonstrator that is told what to do."""

    def start(self) -> None:
        for _ in range(40):
            reply = self("start")
            if reply["ok"] or "is recording" in reply["message"]:  # an answer may have been lost
                return
            self("spin 0.25")
        raise AssertionError(reply)


@pytest.mark.ros
@pytest.mark.timeout(1500)
def test_demonstrations_are_recorded_discarded_and_outlive_the_recorder(tmp_path):
    environments = ros_environments()
    out, file = tmp_path / "mine.zarr", tmp_path / "recorder.yaml"
    told = {"/**": {"ros__parameters": {**PARAMETERS, "out": str(out)}}}
    file.write_text(yaml.safe_dump(told))
    words = ["-m", "real_robot.ros2.recorder", "--ros-args", "--params-file", file]
    script = Path(__file__).with_name("ros_demonstrator.py")
    ask = Demonstration(ros(environments, "kilted", script, domain=1))
    node = ros(environments, "jazzy", *words, domain=1)
    try:
        ask("mute leader")
        ask("spin 0.5")
        refused = ask("start")
        assert (refused["ok"], "no_" in refused["message"]) == (False, True)
        ask("unmute leader")
        ask.start()
        ask("spin 2.0")
        kept = ask("stop")
        assert (kept["ok"], "kept episode 0" in kept["message"]) == (True, True), kept

        ask.start()
        ask("spin 0.5")
        ask("mute cloud")
        faulty = ask("spin 2.0")
        assert int(faulty["faulty_steps"]) > 0
        assert faulty["level"] == 2
        ask("unmute cloud")
        gap = ask("stop")
        assert (gap["ok"], "cloud" in gap["message"]) == (False, True), gap

        ask("spin 0.5")
        ask.start()
        ask("spin 0.5")
        assert ask("discard")["ok"]

        ask.start()
        ask("spin 0.5")
        node.kill()
        node.communicate(timeout=30)
        node = ros(environments, "jazzy", *words, domain=1)
        ask.start()
        ask("spin 1.5")
        assert ask("stop")["ok"]
        said = ask("spin 1.0")
        assert (said["state"], said["episodes"]) == ("idle", "2")
        assert float(said["command_rate_hz"]) > 5
        node.send_signal(signal.SIGTERM)
        assert node.wait(timeout=30) == 0
    finally:
        for process in (ask.process, node):
            process.kill()
            process.communicate()
    report = check_dataset(out)
    assert (report.errors, report.episodes) == (0, 2), report.findings
    dataset = open_dataset(out)
    for episode in map(dataset.episode, range(2)):
        assert len(episode) >= 3
        assert np.ptp(episode.action[:, 0]) > 0.01
        # at most 0.15 rad/s, for a step, the camera's delay, and what a slow machine adds
        assert np.abs(episode.action[:, 0] - episode.agent_pos[:, 0]).max() < 0.15
        np.testing.assert_allclose(episode.action[:, 1], -episode.action[:, 0], atol=1e-6)


@pytest.mark.ros
def test_a_cloud_whose_pose_tf_does_not_know_is_thrown_away_and_told():
    here = Path(__file__).parent
    variables = ros_variables(domain=4)
    variables["PYTHONPATH"] += f"{os.pathsep}{here / 'tf2_stand_in'}"
    python = ros_environments() / "jazzy" / "bin" / "python"
    done = subprocess.run(
        [python, here / "ros_poses.py"], env=variables, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["before"]["cloud"] == "no_cloud"
    assert int(said["before"]["refusals/no_pose"]) >= 2
    assert "'camera' to 'world'" in said["before"]["last_thrown_away"]
    assert said["after"] is None
    assert said["depth_m"] == pytest.approx(1.5)
