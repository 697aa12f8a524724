"""Datasets of DP3 become datasets of ours: frame, colors, padding, notes."""

import numpy as np
import pytest

from data.converting.recordings import dp3_cloud, write_dp3
from envs.suites import suite_of
from mfpolicy.cli import main
from mfpolicy.data import open_dataset
from mfpolicy.data.converting import Target, convert
from mfpolicy.data.converting.dp3_frame import to_world_frame
from mfpolicy.errors import DataError

ENDS = [7, 12]


def _arrays(padding=20, points=64, action_dim=28, state_dim=24, channels=6):
    drawn = np.random.default_rng(0)
    cloud = np.zeros((ENDS[-1], points, channels), np.float32)
    seen = dp3_cloud(drawn.uniform(0.5, 1.5, (84, 84)), "adroit/door")
    for step in range(len(cloud)):
        cloud[step, : points - padding, :3] = seen[drawn.integers(len(seen), size=points - padding)]
        cloud[step, : points - padding, 3:] = drawn.integers(
            0, 256, (points - padding, channels - 3)
        )
    return {
        "img": drawn.integers(0, 256, (ENDS[-1], 84, 84, 3)).astype(np.uint8),
        "depth": drawn.uniform(0, 2, (ENDS[-1], 84, 84)).astype(np.float32),
        "state": drawn.normal(size=(ENDS[-1], state_dim)).astype(np.float32),
        "action": drawn.uniform(-1, 1, (ENDS[-1], action_dim)).astype(np.float32),
        "point_cloud": cloud,
    }


def test_adroits_clouds_go_to_the_world_frame(tmp_path, capsys):
    arrays = _arrays()
    source = write_dp3(tmp_path / "adroit_door_expert.zarr", arrays, ENDS)
    out = tmp_path / "door.zarr"
    assert main(["data", "convert", str(source), f"out={out}"]) == 0
    assert "2 of 2 (100%)" in capsys.readouterr().out
    dataset = open_dataset(out)
    spec = dataset.spec
    assert (spec.task, spec.points, spec.control_rate_hz) == ("adroit/door", 64, 50)
    assert spec.expert.startswith("dp3 adroit_door_expert.zarr sha256:")
    assert spec.recipe.image_size == 84
    assert spec.camera["image_size"] == 84
    assert "not recorded" in spec.extra["converted"]["success"]
    assert dataset.episode_ends.tolist() == ENDS
    assert dataset.zarr_format == 3
    second = dataset.episode(1)
    np.testing.assert_array_equal(second.action, arrays["action"][7:])
    np.testing.assert_array_equal(second.agent_pos, arrays["state"][7:])
    np.testing.assert_array_equal(second.extras["img"], arrays["img"][7:])
    recipe = spec.recipe
    there = arrays["point_cloud"][9, :44]
    wanted = np.concatenate([to_world_frame(there[:, :3], "adroit/door", recipe), there[:, 3:]], 1)
    got = np.concatenate([second.point_cloud[2], second.color[2]], axis=1)
    # The 44 real points in another order, then the first of them again; no zeros.
    assert len(np.unique(got[:44], axis=0)) == 44
    np.testing.assert_allclose(got[:44][np.lexsort(got[:44].T)], wanted[np.lexsort(wanted.T)],
                               atol=1e-5)  # fmt: skip
    np.testing.assert_array_equal(got[44:], got[:20])


def test_the_prefix_of_a_cloud_is_the_smaller_conversion(tmp_path):
    source = write_dp3(tmp_path / "adroit_door_expert.zarr", _arrays(), ENDS)
    task = suite_of("adroit/door")
    spec, recipe = task.tasks["adroit/door"], task.recipes["adroit/door"]
    for points in (64, 16):
        convert(source, tmp_path / f"{points}.zarr", Target(spec, recipe, points=points))
    whole, part = (open_dataset(tmp_path / f"{points}.zarr").episode(0) for points in (64, 16))
    np.testing.assert_array_equal(whole.point_cloud[:, :16], part.point_cloud)
    np.testing.assert_array_equal(whole.color[:, :16], part.color)


def test_clouds_of_another_task_keep_their_frame_and_say_no_recipe(tmp_path, capsys):
    arrays = _arrays(action_dim=4, state_dim=9, padding=0)
    source = write_dp3(tmp_path / "metaworld_drawer-open_expert.zarr", arrays, ENDS)
    assert main(["data", "convert", str(source), f"out={tmp_path}/m.zarr"]) == 0
    assert "not known here" in capsys.readouterr().out
    dataset = open_dataset(tmp_path / "m.zarr")
    assert (dataset.spec.task, dataset.spec.recipe) == ("metaworld/drawer-open", None)
    got, wanted = dataset.episode(0).point_cloud[3], arrays["point_cloud"][3, :, :3]
    np.testing.assert_array_equal(got[np.lexsort(got.T)], wanted[np.lexsort(wanted.T)])


def test_a_robots_dataset_needs_no_task(tmp_path):
    arrays = _arrays(action_dim=7, state_dim=7, channels=3)
    source = write_dp3(tmp_path / "mine.zarr", arrays, ENDS)
    assert (
        main(["data", "convert", str(source), f"out={tmp_path}/o.zarr", "store_extras=false"]) == 0
    )
    dataset = open_dataset(tmp_path / "o.zarr")
    assert dataset.spec.task is None
    assert dataset.array_names == ["action", "point_cloud", "state"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["task=adroit/hammer"], "28"),
        (["task=adroit/relocate"], "30 action dimensions"),
        (["task=adroit/dor"], "adroit/door"),
        (["format=dapg"], "task=adroit/door"),
        (["format=dp"], "'dp3'"),
        (["keep=some"], "keep"),
    ],
)
def test_a_mistake_is_told(words, message, tmp_path, capsys):
    source = write_dp3(tmp_path / "mine.zarr", _arrays(), ENDS)
    assert main(["data", "convert", str(source), f"out={tmp_path}/o.zarr", *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o.zarr").exists()


def test_what_is_no_dataset_is_refused(tmp_path):
    with pytest.raises(DataError, match="must exist"):
        convert(tmp_path / "none", tmp_path / "o.zarr", Target())
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="one of the formats dapg, dp3"):
        convert(tmp_path / "folder", tmp_path / "o.zarr", Target())
    arrays = _arrays()
    arrays["point_cloud"][8] = 0
    source = write_dp3(tmp_path / "mine.zarr", arrays, ENDS)
    with pytest.raises(DataError, match="0 points at step 1 of episode 1"):
        convert(source, tmp_path / "o.zarr", Target())


def test_another_source_is_not_mixed_in(tmp_path):
    source = write_dp3(tmp_path / "mine.zarr", _arrays(), ENDS)
    convert(source, tmp_path / "o.zarr", Target())
    before = open_dataset(tmp_path / "o.zarr").episode_count
    assert convert(source, tmp_path / "o.zarr", Target()).kept == before == 2
    arrays = _arrays()
    arrays["action"] *= 0.5
    write_dp3(tmp_path / "mine.zarr", arrays, ENDS)
    with pytest.raises(DataError, match="made alike"):
        convert(source, tmp_path / "o.zarr", Target())
