"""The ROS package as colcon builds it: what is installed where, and nodes that start from there."""

from __future__ import annotations

import shutil
import signal
import subprocess

import pytest

from oracles.ros_environments import ROOT, ros_environments
from oracles.ros_processes import ros_variables

PACKAGE = ROOT / "ros" / "mfpolicy_robot"
SHARE = """
from ament_index_python.packages import get_package_share_directory, get_packages_with_prefixes
print(get_packages_with_prefixes()["mfpolicy_robot"])
print(get_package_share_directory("mfpolicy_robot"))
"""


@pytest.mark.ros
@pytest.mark.timeout(1500)
def test_colcon_builds_a_package_whose_nodes_start(tmp_path):
    distribution = ros_environments() / "jazzy"
    env = ros_variables(domain=2)
    env["PATH"] = f"{distribution / 'bin'}:{env['PATH']}"
    shutil.copytree(PACKAGE, tmp_path / "src" / PACKAGE.name)

    def run(*words: object, **options) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in words],
            cwd=tmp_path, env=env, text=True, capture_output=True, timeout=300, **options,
        )  # fmt: skip

    built = run(distribution / "bin" / "colcon", "build")
    assert built.returncode == 0, built.stderr
    assert f"Finished <<< {PACKAGE.name}" in built.stdout
    prefix = tmp_path / "install" / PACKAGE.name
    share = prefix / "share" / PACKAGE.name
    for folder in ("launch", "config"):
        there = {each.name for each in (PACKAGE / folder).iterdir() if each.is_file()}
        assert {each.name for each in (share / folder).iterdir()} == there
    assert (share / "package.xml").is_file()

    def installed(*words: object) -> list[str]:
        line = " ".join(map(str, words))
        return ["bash", "-c", f". {tmp_path / 'install' / 'setup.sh'} && exec {line}"]

    (tmp_path / "share.py").write_text(SHARE)
    found = run(*installed("python", "share.py"))
    assert found.stdout.split() == [str(prefix), str(share)], found.stderr
    recorder = run(*installed(prefix / "lib" / PACKAGE.name / "demonstration_recorder"))
    assert recorder.returncode == 2
    assert "either cloud_topic or depth_topic must be given" in recorder.stderr
    controller = subprocess.Popen(
        installed(
            prefix / "lib" / PACKAGE.name / "policy_controller",
            "--ros-args", "--params-file", share / "config" / "franka_fr3.yaml",
        ),
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        listed = run("python", "-c", _WAIT)
        assert listed.stdout.strip() == "fr3_link0", listed.stderr
        controller.send_signal(signal.SIGTERM)
        assert controller.wait(timeout=60) == 0
    finally:
        controller.kill()
        controller.communicate()


_WAIT = """
import rclpy
from rcl_interfaces.srv import GetParameters

rclpy.init()
node = rclpy.create_node("asks")
client = node.create_client(GetParameters, "/policy_controller/get_parameters")
client.wait_for_service(60)
future = client.call_async(GetParameters.Request(names=["world_frame"]))
rclpy.spin_until_future_complete(node, future, timeout_sec=60)
print(future.result().values[0].string_value)
"""
