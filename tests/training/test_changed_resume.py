"""A resume with another configuration or dataset: refused with a diff, or forced and recorded."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import yaml
import zarr

from mfpolicy.data import DatasetSpec, DatasetWriter
from mfpolicy.errors import RunError
from mfpolicy.policy import read_spec
from mfpolicy.training import train
from mfpolicy.training.run_folder import CONFIG, FORCED
from mfpolicy.types import DATA_FILE
from oracles.demonstrations import RECIPE, TASK, episode, write_dataset


def test_another_configuration_is_refused_with_both_values(configure, run):
    with pytest.raises(RunError, match=r"training.learning_rate: 0.001 -> 0.01") as caught:
        train(configure("resume=true", "training.learning_rate=0.01", "training.steps=20"))
    assert "training.steps: 12 -> 20" in str(caught.value)
    assert "resume=force" in str(caught.value)
    assert "training.batch_size" not in str(caught.value)


def _rewritten(dataset, path, array):
    """A copy of the dataset in which one number of one array differs."""
    shutil.copytree(dataset, path)
    values = zarr.open_group(path)[f"data/{array}"]
    values[0] = np.asarray(values[0]) + 0.001
    return path


def _with_recipe(path, **changes):
    recipe = dataclasses.replace(RECIPE, **changes)
    spec = DatasetSpec(TASK, 80.0, "scripted", recipe, None, 9, 4, recipe.points)
    with DatasetWriter.open(path, spec) as writer:
        for seed in range(4):
            writer.append(episode(seed))
    return path


_VALUES = {f"values.{name}": "" for name in ("state", "action", "point_cloud")}
CHANGES = {
    "more episodes": (
        lambda dataset, path: write_dataset(path, episodes=5),
        {
            "episodes": "4 -> 5",
            "steps": "80 -> 100",
            "seeds": "[0, 1, 2, 3] -> [0, 1, 2, 3, 4]",
            "values.episode_ends": "",
            **_VALUES,
        },
    ),
    "other episodes": (
        lambda dataset, path: write_dataset(path, first_seed=50),
        {"seeds": "[0, 1, 2, 3] -> [50, 51, 52, 53]", **_VALUES},
    ),
    "another action": (
        lambda dataset, path: _rewritten(dataset, path, "action"),
        {"values.action": ""},
    ),
    "another cloud": (
        lambda dataset, path: _rewritten(dataset, path, "point_cloud"),
        {"values.point_cloud": ""},
    ),
    "another recipe": (
        lambda dataset, path: _with_recipe(path, camera="corner3", crop_min=(-1.0, -1.0, -0.5)),
        {
            "recipe.camera": "'corner2' -> 'corner3'",
            "recipe.crop_min": "[-1.0, -1.0, 0.0] -> [-1.0, -1.0, -0.5]",
        },
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_data_are_refused_with_exactly_what_changed(
    configure, run, dataset, tmp_path, change
):
    make, expected = CHANGES[change]
    other = make(dataset, tmp_path / "other.zarr")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match="must keep its configuration and data") as caught:
        train(configure("resume=true", f"data={other}"))
    told = re.search(r"Received: .(.*).\. give the saved", str(caught.value))[1].split("; ")
    differences = dict(line.removeprefix("data.yaml: ").split(": ", 1) for line in told)
    assert differences.keys() == expected.keys()
    assert all(expected[key] in differences[key].replace("\\", "") for key in expected)
    assert {path: path.read_bytes() for path in before} == before


def test_the_same_data_elsewhere_are_the_same_data(configure, run, dataset, tmp_path):
    moved = shutil.copytree(dataset, tmp_path / "moved.zarr")
    assert train(configure("resume=true", f"data={moved}")).step == 12
    assert not (run / FORCED).exists()


def test_a_forced_change_of_the_configuration_goes_on_and_is_recorded(configure, run):
    longer = ("training.steps=20", "training.learning_rate=0.01")
    with pytest.warns(UserWarning, match="goes on with changes: .*learning_rate: 0.001 -> 0.01"):
        assert train(configure("resume=force", *longer)).step == 20
    (line,) = (run / FORCED).read_text().splitlines()
    record = json.loads(line)
    assert record["newest_checkpoint"] == "step-00000012.safetensors"
    assert record["changed"] == [
        "config.yaml: training.steps: 12 -> 20",
        "config.yaml: training.learning_rate: 0.001 -> 0.01",
    ]
    assert yaml.safe_load((run / CONFIG).read_text())["training"]["steps"] == 20
    assert train(configure("resume=true", *longer)).step == 20  # it is now the run's own
    steps = [json.loads(x)["step"] for x in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [4, 8, 12, 16, 20]


def test_forced_data_keep_the_seeds_that_the_weights_have_seen(configure, run, tmp_path):
    """Or an evaluation would take one of the old demonstrations for a new situation."""
    other = write_dataset(tmp_path / "other.zarr", first_seed=50)
    with pytest.warns(UserWarning, match="seeds: .* -> "):
        train(configure("resume=force", f"data={other}"))
    seen = [0, 1, 2, 3, 50, 51, 52, 53]
    assert read_spec(run).demonstration_seeds == seen
    train(configure("resume=true", f"data={other}"))
    with pytest.warns(UserWarning, match="training.steps"):
        train(configure("resume=force", f"data={other}", "training.steps=14"))
    assert read_spec(run).demonstration_seeds == seen
    assert len((run / FORCED).read_text().splitlines()) == 2


def test_force_without_a_change_is_a_plain_resume(configure, run):
    assert train(configure("resume=force")).step == 12
    assert not (run / FORCED).exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.widths=[24]", r"shapes of its weights.*16.* -> .*24"),
        ("training.steps=7", "at least the 12 that are done. Received: 7"),
    ],
)
def test_what_no_force_can_fit_is_refused_and_changes_nothing(configure, run, override, message):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match=message):
        train(configure("resume=force", override))
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert train(configure("resume=true")).step == 12


@pytest.mark.parametrize("name", [CONFIG, DATA_FILE])
@pytest.mark.parametrize("content", [None, b"", b"seed: [", b"\x00" * 40])
def test_a_damaged_description_is_refused_and_mended_by_force(configure, run, name, content):
    whole = (run / name).read_bytes()
    if content is None and name == DATA_FILE:
        (run / name).unlink()
    else:
        (run / name).write_bytes(content or b"")
    with pytest.raises(RunError, match=f"whole {name}.*resume=force"):
        train(configure("resume=true"))
    with pytest.warns(UserWarning, match="goes on with changes"):
        train(configure("resume=force"))
    saved = yaml.safe_load((run / name).read_text())
    saved.pop("earlier_seeds", None)
    of_the_command = {"resume": False, "out": str(run)}  # the run is a copy of one elsewhere
    assert {**saved, **of_the_command} == {**yaml.safe_load(whole), **of_the_command}
