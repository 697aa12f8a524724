"""Suites as data: names, groups, options, and what is said when they are wrong."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import gymnasium
import pytest
import yaml

import envs
from envs import suites
from mfpolicy.errors import ConfigError, TaskError
from mfpolicy.paths import config_dir
from mfpolicy.pointcloud import PointCloudRecipe
from mfpolicy.types import DemonstrationRule


def test_metaworld_has_its_fifty_tasks_in_the_groups_of_the_literature() -> None:
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS
    from metaworld.policies import ENV_POLICY_MAP

    tasks = [task for task in envs.tasks() if task.suite == "metaworld"]
    names = {f"{task.name.removeprefix('metaworld/')}-v3" for task in tasks}
    assert names == set(ALL_V3_ENVIRONMENTS) == set(ENV_POLICY_MAP)
    assert Counter(task.difficulty for task in tasks) == {
        "easy": 28,
        "medium": 11,
        "hard": 6,
        "very hard": 5,
    }


def test_the_set_of_37_has_the_tasks_of_each_group() -> None:
    groups = Counter(task.difficulty for task in envs.task_set("mp1_37"))
    assert groups == {"adroit": 3, "easy": 21, "medium": 4, "hard": 4, "very hard": 5}
    with pytest.raises(ConfigError, match="did you mean 'mp1_37'"):
        envs.task_set("mp1-37")


def test_the_yaml_is_where_the_defaults_come_from() -> None:
    values = yaml.safe_load((config_dir() / "suite/metaworld.yaml").read_text("utf-8"))
    suite = suites.load_suite("metaworld")
    for task in suite.tasks.values():
        name = task.name.removeprefix("metaworld/")
        told = {**values, **values["of_task"].get(name, {})}
        assert suite.recipes[task.name].to_dict() == {
            **{option: told[option] for option in suites.CLOUD_OPTIONS if told[option]},
            "sampling": "fps",
            "frame": "world",
        }
        own = values["horizon_of"].get(name)
        assert task.horizon == (own or values["horizon"])
        assert task.demonstration == DemonstrationRule(10, goal_steps=1, success_at_end=False)


def test_a_task_has_the_values_of_its_suite_with_its_own_over_them() -> None:
    values = yaml.safe_load((config_dir() / "suite/adroit.yaml").read_text("utf-8"))
    suite = suites.load_suite("adroit")
    assert list(suite.tasks) == [f"adroit/{t}" for t in ("door", "hammer", "pen", "relocate")]
    for name, task in suite.tasks.items():
        own = {**values, **values["of_task"].get(name.removeprefix("adroit/"), {})}
        recipe = suite.recipes[name].to_dict()
        for option in suites.CLOUD_OPTIONS:
            assert recipe.get(option, []) == own[option]
        assert (task.horizon, task.action_dim) == (own["horizon"], own["action_dim"])
        assert task.action_kinds == ("position",) * own["action_dim"]
        assert task.demonstration == DemonstrationRule(None, goal_steps=10, success_at_end=True)
        assert suite.videos[name] == suites.VideoView("vil_camera", 256)


def test_every_task_has_a_gymnasium_id() -> None:
    for task in envs.tasks():
        found = gymnasium.spec(f"mfpolicy/{task.name.replace('/', '-')}-v0")
        assert found.kwargs == {"task": task.name}


def test_importing_envs_imports_no_simulator() -> None:
    code = (
        "import sys, envs; envs.tasks();"
        "print(sorted({'mujoco', 'metaworld', 'torch', 'open3d', 'fpsample'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("metaworld/drawer-opne", "did you mean 'metaworld/drawer-open'"),
        ("drawer-open", "did you mean 'metaworld/drawer-open'"),
        ("metaworl/drawer-open", "did you mean 'metaworld/drawer-open'"),
        ("metaworld/drawer-open-v3", "did you mean 'metaworld/drawer-open'"),
        ("qqqq", "see mfpolicy tasks"),
        ("", "see mfpolicy tasks"),
        (None, "suite/task"),
    ],
)
def test_a_misspelt_task_gives_the_nearest_names(name: str, said: str) -> None:
    with pytest.raises(TaskError, match=said):
        envs.spec(name)
    with pytest.raises(TaskError, match=said):
        envs.make(name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"point": 5}, "did you mean 'points'"),
        ({"horizont": 5}, "did you mean 'horizon'"),
        ({"control_rate_hz": 5}, "no option of this name"),
        ({"points": 0}, "points must be a whole number"),
        ({"points": 2.5}, "points must be a whole number"),
        ({"horizon": 0}, "horizon must be a whole number"),
        ({"horizon": True}, "horizon must be a whole number"),
        ({"crop_min": [5, 5, 5]}, "below that of crop_max"),
        ({"camera_position": [1, 2]}, "camera_position must be three numbers"),
        ({"camera_orientation": [1, 0, 0]}, "camera_orientation must be four numbers"),
        ({"camera_orientation": [1, 1, 0, 0]}, "quaternion of length 1"),
        ({"hidden_bodies": "table"}, "hidden_bodies must be a list of names"),
        ({"hidden_bodies": ["hadn"]}, "hidden_bodies must be bodies of the scene.*'hadn'"),
        ({"camera": "corner22"}, "did you mean 'corner2'"),
        ({"camera": "gripperPOV"}, "fixed to the world"),
        ({"render_mode": "human"}, "render_mode must be rgb_array"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        envs.make("metaworld/reach", **options)  # type: ignore[arg-type]


def test_options_change_a_recipe_and_only_what_they_name() -> None:
    suite = suites.load_suite("metaworld")
    task = envs.spec("metaworld/push-back")
    other = PointCloudRecipe("corner", (0, 0, 1), 64, (-1, -1, 0), (1, 1, 1), points=100)
    assert suite.with_options(task, {}) == (task, suite.recipes[task.name])
    changed, recipe = suite.with_options(task, {"horizon": 7, "points": 9}, other)
    assert (changed.horizon, changed.name) == (7, task.name)
    assert recipe.to_dict() == {**other.to_dict(), "points": 9}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("points: 5", "must describe a task suite.*KeyError"),
        ("- a list", "must describe a task suite"),
        ("a: [", "must describe a task suite"),
    ],
)
def test_a_broken_suite_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/broken.yaml").write_text(text)
    monkeypatch.setattr(suites, "config_dir", lambda: tmp_path)
    with pytest.raises(ConfigError, match=said):
        suites.load_suite("broken")


def test_a_suite_cannot_list_a_task_it_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (config_dir() / "suite/metaworld.yaml").read_text("utf-8")
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/other.yaml").write_text(text.replace("{push-back:", "{push-bakc:"))
    monkeypatch.setattr(suites, "config_dir", lambda: tmp_path)
    with pytest.raises(ConfigError, match="other/push-bakc"):
        suites.load_suite("other")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  hammer:", "  hamer:", "names tasks it does not have.*other/hamer"),
        ("    image_size: 128", "    imagesize: 128", "must change a value.*'image_size'"),
    ],
)
def test_what_is_changed_for_a_task_must_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    text = (config_dir() / "suite/adroit.yaml").read_text("utf-8")
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/other.yaml").write_text(text.replace(old, new, 1))
    monkeypatch.setattr(suites, "config_dir", lambda: tmp_path)
    with pytest.raises(ConfigError, match=said):
        suites.load_suite("other")
