"""The ROS package: its examples fit the code, and what it installs is there."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import yaml

import mfpolicy
from mfpolicy.options import parse_options
from real_robot.core.perception import pose_matrix
from real_robot.node_settings import NodeSettings
from real_robot.parameters import RobotParameters

PACKAGE = Path(__file__).resolve().parents[2] / "ros" / "mfpolicy_robot"
SETUP = (PACKAGE / "setup.py").read_text()
EXECUTABLES = dict(re.findall(r'"(\w+) = ([\w.]+):main"', SETUP))
LAUNCHES = {"policy": "policy_controller", "recorder": "demonstration_recorder"}
EXAMPLES = sorted((PACKAGE / "config").glob("*.yaml"))


def _told(path: Path) -> dict:
    return yaml.safe_load(path.read_text())["/**"]["ros__parameters"]


def _parsed(told: dict, cls: type):
    known = {each.name for each in dataclasses.fields(cls)}
    return parse_options(cls, {name: told[name] for name in told if name in known})


def test_there_is_an_example_of_each_arm():
    assert [each.stem for each in EXAMPLES] == ["franka_fr3", "ur5e"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_says_what_the_node_takes_and_moves_nothing(path):
    told = _told(path)
    parameters, settings = _parsed(told, RobotParameters), _parsed(told, NodeSettings)
    known = {each.name for each in dataclasses.fields(RobotParameters)}
    known |= {each.name for each in dataclasses.fields(NodeSettings)}
    assert set(told) <= known
    settings.check(parameters)
    assert parameters.dry_run
    assert settings.server or settings.run
    if not settings.use_tf:  # the example's camera looks at the table before the arm
        camera = pose_matrix(parameters.camera_position, parameters.camera_orientation_xyzw)
        looks = camera[:3, 2]
        seen = camera[:3, 3] - looks * camera[2, 3] / looks[2]
        assert looks[2] < 0
        np.testing.assert_allclose(seen[:2], [0.6, 0], atol=0.05)
        assert camera[2, 1] < 0, "down in the image is down in the world"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_ros_can_parse_the_lists_of_every_example(path):
    mixed = {
        name: value
        for name, value in _told(path).items()
        if isinstance(value, list) and len({type(each) for each in value}) != 1
    }
    assert mixed == {}, "ROS refuses whole numbers in a list of others"


def test_the_example_of_a_franka_keeps_its_velocity_limits_everywhere_in_its_box():
    """Limits by position: github.com/frankarobotics/docs, Robot specifications, 5f28326."""
    parameters = _parsed(_told(PACKAGE / "config" / "franka_fr3.yaml"), RobotParameters)
    most = np.array([2.9007, 1.8361, 2.9007, -0.1169, 2.8763, 4.6216, 3.0508])
    least = np.array([-2.9007, -1.8361, -2.9007, -3.0770, -2.8763, 0.4398, -3.0508])
    fastest = np.array([2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26])
    offset = np.array([0.6599, 0.2517, 0.2, 0.3533, 0.5757, 0.4878, 0.4628])
    braking = np.array([6.0, 2.585, 3.5, 4.0, 17.0, 5.5, 17.0])
    for room in (most - parameters.upper, parameters.lower - least):  # least at the ends
        assert (room > 0).all()
        limit = np.minimum(fastest, np.sqrt(2 * braking * room) - offset)
        assert (np.array(parameters.velocity) <= limit).all(), limit
    assert max(parameters.acceleration) <= 10


def test_the_example_of_a_ur5e_is_within_the_arm():
    """Universal_Robots_ROS2_Description, config/ur5e/joint_limits.yaml, 1c32d8f."""
    parameters = _parsed(_told(PACKAGE / "config" / "ur5e.yaml"), RobotParameters)
    most = np.radians([360, 360, 180, 360, 360, 360])
    assert (np.abs([parameters.lower, parameters.upper]) <= most).all()
    assert max(parameters.velocity) <= np.pi
    assert max(parameters.acceleration) <= np.pi


def test_the_package_is_of_this_version_and_installs_what_is_there():
    package = ElementTree.parse(PACKAGE / "package.xml").getroot()
    assert package.findtext("version") == mfpolicy.__version__
    name = package.findtext("name")
    assert (PACKAGE / "resource" / name).is_file()
    assert EXECUTABLES.keys() == {"policy_controller", "demonstration_recorder"}
    for module in EXECUTABLES.values():
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert "def main(" in Path(spec.origin).read_text()


def test_there_is_a_launch_file_of_each_node():
    files = [each.name for each in sorted((PACKAGE / "launch").iterdir()) if each.is_file()]
    assert files == [f"{name}.launch.py" for name in LAUNCHES]


@pytest.mark.parametrize("name", LAUNCHES)
def test_launch_files_start_the_node_that_the_package_installs(name):
    tree = ast.parse((PACKAGE / "launch" / f"{name}.launch.py").read_text())
    words = {
        each.arg: each.value.value
        for each in ast.walk(tree)
        if isinstance(each, ast.keyword) and isinstance(each.value, ast.Constant)
    }
    assert (words["package"], words["executable"]) == (PACKAGE.name, LAUNCHES[name])
    assert any(
        isinstance(each, ast.FunctionDef) and each.name == "generate_launch_description"
        for each in tree.body
    )


def _called(tree: ast.AST, name: str) -> list[ast.Call]:
    calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call)]
    return [each for each in calls if isinstance(each.func, ast.Name) and each.func.id == name]


def _first(calls: list[ast.Call]) -> list[str]:
    return [ast.literal_eval(each.args[0]) for each in calls]


@pytest.mark.parametrize("name", LAUNCHES)
def test_launch_files_read_the_arguments_that_they_declare_and_that_are_documented(name):
    """There are no wheels of launch: what is read off the source is all that can be tested here."""
    path = PACKAGE / "launch" / f"{name}.launch.py"
    tree = ast.parse(path.read_text())
    declared = _first(_called(tree, "DeclareLaunchArgument"))
    assert len(set(declared)) == len(declared)
    assert set(_first(_called(tree, "LaunchConfiguration"))) == set(declared)
    without_default = {
        ast.literal_eval(each.args[0])
        for each in _called(tree, "DeclareLaunchArgument")
        if "default_value" not in {word.arg for word in each.keywords}
    }
    shown = re.findall(r"(\w+):=", ast.get_docstring(tree) or "")
    assert set(shown) == without_default, "what must be given is shown, and nothing else"
    text = (PACKAGE.parents[1] / "docs" / "real_robot.md").read_text()
    (documented,) = re.findall(rf"ros2 launch mfpolicy_robot {path.name} (.*)", text)
    assert set(re.findall(r"(\w+):=", documented)) == without_default


@pytest.mark.parametrize("name", LAUNCHES)
def test_launch_files_import_what_they_use_and_set_parameters_that_the_node_has(name):
    tree = ast.parse((PACKAGE / "launch" / f"{name}.launch.py").read_text())
    nodes = list(ast.walk(tree))
    imports = [each for each in nodes if isinstance(each, ast.ImportFrom)]
    imported = {alias.name for each in imports for alias in each.names}
    defined = {each.name for each in nodes if isinstance(each, ast.FunctionDef)}
    names = {each.id for each in nodes if isinstance(each, ast.Name)}
    calls = [each.func for each in nodes if isinstance(each, ast.Call)]
    assert {each.id for each in calls if isinstance(each, ast.Name)} <= imported | defined
    assert imported <= names, "and nothing besides"
    (set_here,) = [each for each in nodes if isinstance(each, ast.Dict)]
    keys = [ast.literal_eval(each) for each in set_here.keys if each is not None]
    assert keys == ["use_sim_time"], "a parameter of every node; the others come from files"


def test_the_profile_of_fast_dds_uses_the_transports_that_it_describes():
    profile = ElementTree.parse(PACKAGE / "config" / "fastdds_large_clouds.xml").getroot()
    at = {"d": "http://www.eprosima.com"}
    described = profile.findall(".//d:transport_descriptor/d:transport_id", at)
    used = profile.findall(".//d:userTransports/d:transport_id", at)
    assert [each.text for each in described] == [each.text for each in used] != []
