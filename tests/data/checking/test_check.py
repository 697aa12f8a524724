"""The check beyond single damages: limits, foreign datasets, repairs, many findings."""

import json

import numpy as np
import pytest
import zarr

from benchmarks.data.damages import DAMAGES
from benchmarks.data.smooth import smooth_episode, write_smooth_dataset
from mfpolicy.data.checking import CHECKS, CheckLimits, check_dataset, repair
from mfpolicy.data.checking.changes import Largest, MagnitudeHistogram
from mfpolicy.data.checking.findings import FindingLog
from mfpolicy.data.checking.numbers import NAN
from mfpolicy.data.store import open_dataset
from mfpolicy.errors import ConfigError, DataError


def _codes(path, **limits):
    return {finding.code for finding in check_dataset(path, limits=CheckLimits(**limits)).findings}


def _array(path, name):
    return zarr.open_array(str(path), path=name, mode="r+")


def test_the_report_is_json_and_names_the_place(smooth):
    _array(smooth, "data/state")[48 + 7, 1] = np.nan
    report = json.loads(json.dumps(check_dataset(smooth).to_dict()))
    (finding,) = report["findings"]
    place = [finding[key] for key in ("code", "severity", "array", "episode", "step", "steps")]
    assert place == ["nan", "error", "data/state", 1, 7, 1]
    assert (report["errors"], report["warnings"], report["sound"]) == (1, 0, False)
    assert report["episodes_spoilt"] == [1]


def test_several_damages_are_all_told(smooth):
    codes = {"nan", "color-blank", "chunk-truncated", "seed-repeated"}
    for damage in {damage.code: damage for damage in DAMAGES}.values():
        if damage.code in codes:
            damage.do(smooth)
    assert _codes(smooth) == codes


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({}, None),
        ({"jump_factor": 2.0}, "state-jump"),
        ({"spike_factor": 1.5}, "action-spike"),
        ({"max_state_rate": 0.01}, "rate-exceeded"),
        ({"max_action_rate": 0.01}, "rate-exceeded"),
        ({"max_magnitude": 0.01}, "magnitude"),
        ({"min_points_share": 1.0}, None),
        ({"min_steps": 50}, "episode-short"),
    ],
)
def test_limits_say_from_where_on_it_is_damage(smooth, limits, code):
    _array(smooth, "data/state")[60, 0] += 0.1
    _array(smooth, "data/action")[60, 0] = 1.2
    assert _codes(smooth, **limits) == ({code} if code else set())


def test_a_rate_is_judged_at_every_step_however_many_are_beyond_it(halves):
    action = _array(halves, "data/action")
    values = action[:]
    values[:, 0] = np.where(np.arange(len(values)) % 2, 0.1, -0.1)
    values[48:, 0] *= 2  # so that the largest changes lie in the last two episodes
    action[:] = values
    report = check_dataset(halves, limits=CheckLimits(max_action_rate=3.9))
    told = {f.episode: (f.step, f.steps) for f in report.findings if f.code == "rate-exceeded"}
    assert told == dict.fromkeys(range(3), (1, 47))
    assert report.spoilt == {0, 1, 2}


@pytest.mark.parametrize(
    "limits",
    [
        {"jump_factor": 1.0}, {"max_state_rate": 0.0}, {"min_points_share": 1.5},
        {"max_repeats": -1}, {"spike_factor": float("nan")},
    ],
)  # fmt: skip
def test_limits_that_cannot_be(limits):
    with pytest.raises(ConfigError, match=next(iter(limits))):
        CheckLimits(**limits)


def _dp3(path, change=None):
    """Three smooth episodes as DP3's generators would store them, colors beside the points."""
    episodes = [smooth_episode(index) for index in range(3)]
    cloud = np.concatenate(
        [np.concatenate([e.point_cloud, e.color.astype("f4")], axis=-1) for e in episodes]
    )
    arrays = {
        "point_cloud": cloud,
        "state": np.concatenate([e.agent_pos for e in episodes]),
        "action": np.concatenate([e.action for e in episodes]),
    }
    if change is not None:
        change(arrays)
    group = zarr.create_group(str(path), zarr_format=2)
    for name, values in arrays.items():
        array = group.create_array(
            f"data/{name}", shape=values.shape, dtype=values.dtype, chunks=(50, *values.shape[1:])
        )
        array[...] = values
    group.create_array("meta/episode_ends", shape=(3,), dtype="i8")[...] = [48, 96, 144]
    return path


def test_a_sound_dataset_of_dp3_has_no_findings_and_is_rewritten_by_a_repair(tmp_path):
    report = check_dataset(_dp3(tmp_path / "dp3.zarr"))
    assert report.findings == []
    mended = repair(report, tmp_path / "ours.zarr")
    assert any("seeds are not known" in action for action in mended.actions)
    old, new = (open_dataset(path).episode(2) for path in (report.path, mended.path))
    np.testing.assert_array_equal(old.point_cloud, new.point_cloud)
    np.testing.assert_array_equal(old.color, new.color)


def _scaled(arrays):
    arrays["point_cloud"][..., :3] *= 1000


def _not_a_number(arrays):
    arrays["action"][100, 1] = np.nan


@pytest.mark.parametrize(("change", "code"), [(_scaled, "cloud-scale"), (_not_a_number, "nan")])
def test_damage_in_a_dataset_of_dp3(tmp_path, change, code):
    assert _codes(_dp3(tmp_path / "dp3.zarr", change)) == {code}


def test_millimetres_are_mended_where_the_recipe_makes_them_certain(smooth, tmp_path):
    next(damage for damage in DAMAGES if damage.name == "points in millimetres").do(smooth)
    mended = repair(check_dataset(smooth), tmp_path / "mended.zarr")
    assert mended.episodes == 3
    assert mended.actions == ["points multiplied by 0.001 in episodes 0-2"]
    cloud = open_dataset(mended.path).episode(1).point_cloud
    np.testing.assert_allclose(cloud, smooth_episode(1).point_cloud, rtol=1e-5)


def test_points_that_no_unit_explains_are_outside_though_the_origin_is_in_the_box(smooth):
    file = smooth / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"]["recipe"].update(crop_min=[-0.1, -0.1, -0.1], crop_max=[0.1, 0.1, 0.1])
    file.write_text(json.dumps(content))
    assert _codes(smooth) == {"cloud-outside-crop"}


def test_a_journal_that_cannot_be_is_told_once(smooth):
    file = smooth / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"]["journal"] = [1]
    file.write_text(json.dumps(content))
    assert [finding.code for finding in check_dataset(smooth).findings] == ["notes-wrong"]
    with pytest.raises(DataError, match="journal"):
        open_dataset(smooth)


def test_a_repair_is_never_in_place(smooth, tmp_path):
    report = check_dataset(smooth)
    for out in (smooth, smooth / "inside.zarr", tmp_path):
        with pytest.raises(DataError, match="path of its own|lie apart"):
            repair(report, out)


def test_an_interrupted_repair_leaves_nothing(smooth, tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repair(check_dataset(smooth), tmp_path / "new" / "mended.zarr", progress=interrupt)
    assert list((tmp_path / "new").glob("*.zarr*")) == []


def test_no_dataset_at_all(tmp_path):
    with pytest.raises(DataError, match="must exist"):
        check_dataset(tmp_path / "nothing")
    with pytest.raises(DataError, match="zarr group"):
        check_dataset(tmp_path)


def test_more_findings_of_a_code_than_are_kept_are_counted():
    log = FindingLog(most=3)
    for episode in range(10):
        log.add(NAN, "nan", array="data/state", episode=episode, step=0)
        log.add(NAN, "nan", array="data/state", episode=min(episode, 2), step=1)
        log.add(NAN, "nan", array="data/state", episode=episode, step=2)
    assert len(log.found) == 3
    assert log.hidden["nan"] == 7
    assert log.count("error") == 10
    assert log.spoilt == set(range(10))


def test_blocks_do_not_change_what_is_found(smooth, monkeypatch):
    for damage in DAMAGES:
        if damage.name in ("a state that jumps and returns", "a camera that stalls"):
            damage.do(smooth)
    whole = check_dataset(smooth).findings
    monkeypatch.setattr("mfpolicy.data.checking.base._BLOCK_BYTES", 1)
    assert check_dataset(smooth).findings == whole


def test_quantiles_of_what_passes_by_are_close():
    rng = np.random.default_rng(0)
    values = np.abs(rng.normal(size=(5000, 2))) * [1e-3, 50]
    seen, largest = MagnitudeHistogram(2), Largest(2, keep=4)
    for part in np.split(values, 10):
        seen.add(part)
    for start in range(0, 5000, 500):
        largest.add(values[start : start + 500], np.arange(start, start + 500))
    exact = np.quantile(values, 0.95, axis=0)
    assert ((seen.quantile(0.95) >= exact) & (seen.quantile(0.95) <= 1.25 * exact)).all()
    assert set(largest.rows[:, 1]) == set(np.argsort(values[:, 1])[-4:])


def test_every_family_registers_itself():
    assert CHECKS.names() == [
        "background", "channels", "clouds", "duplicates", "frame", "images", "motion", "numbers",
        "timing",
    ]  # fmt: skip


def test_one_episode_of_one_step_is_looked_at(tmp_path):
    path = write_smooth_dataset(tmp_path / "one.zarr", 1, steps=1)
    assert _codes(path) == {"episode-short"}


def test_seconds_since_1970_are_stamps_and_no_damage(halves):
    dataset = open_dataset(halves)
    rows = [np.arange(dataset.bounds(n)[1] - dataset.bounds(n)[0]) for n in range(3)]
    stamps = 1.76e9 + np.concatenate(rows) / dataset.spec.control_rate_hz
    group = zarr.open_group(str(halves), mode="r+")
    group.create_array("data/timestamp", data=stamps, chunks=(len(stamps),))
    assert check_dataset(halves).errors == 0
