"""What every edit keeps: bits, order, notes; and how it goes on after an interruption."""

from __future__ import annotations

import numpy as np
import pytest

from mfpolicy.data.editing import merge, parse_episodes, parse_parts, split, subset
from mfpolicy.data.store import open_dataset
from mfpolicy.errors import ConfigError, DataError

LENGTHS = (5, 3, 7, 4)


@pytest.fixture
def four(write_dataset):
    return write_dataset(*LENGTHS)


def _episodes(path):
    dataset = open_dataset(path)
    return [dataset.episode(index) for index in range(dataset.episode_count)]


def test_a_subset_of_all_is_the_dataset_bit_for_bit(four, tmp_path, same_episode):
    report = subset(four, tmp_path / "all.zarr")
    assert (report.episodes, report.steps) == (4, sum(LENGTHS))
    for mine, theirs in zip(_episodes(four), _episodes(report.path), strict=True):
        same_episode(mine, theirs)
    chunks = {p.relative_to(four) for p in (four / "data").rglob("c/*/*") if p.is_file()}
    assert chunks
    for chunk in chunks:
        assert (four / chunk).read_bytes() == (report.path / chunk).read_bytes()
    before, after = open_dataset(four).spec, open_dataset(report.path).spec
    assert before.differences(after) == {}


def test_a_subset_takes_episodes_in_the_order_they_are_named(four, tmp_path, same_episode):
    report = subset(four, tmp_path / "some.zarr", episodes="3,0:2", first=2)
    for mine, index in zip(_episodes(report.path), (3, 0), strict=True):
        same_episode(mine, _episodes(four)[index])
    entry = open_dataset(report.path).spec.extra["edited"][-1]
    assert entry["operation"] == "subset"
    assert entry["sources"][0]["taken"] == [3, 0]
    assert entry["sources"][0]["name"] == four.name


def test_a_subset_can_be_of_failures_alone(four, tmp_path):
    with pytest.raises(DataError, match="at least one episode, but none is left"):
        subset(four, tmp_path / "failed.zarr", success=False)
    assert not (tmp_path / "failed.zarr").exists()
    assert subset(four, tmp_path / "good.zarr", success=True).episodes == 4


@pytest.mark.parametrize(
    ("arrays", "color", "extras"),
    [("none", False, set()), ("color", True, set()), ("full_state", False, {"full_state"})],
)
def test_a_subset_can_be_of_arrays(four, tmp_path, arrays, color, extras):
    (episode,) = _episodes(subset(four, tmp_path / "s.zarr", first=1, arrays=arrays).path)
    assert (episode.color is not None, set(episode.extras)) == (color, extras)


def test_an_array_that_is_not_there_is_named(four, tmp_path):
    with pytest.raises(ConfigError, match="Received: 'depht'"):
        subset(four, tmp_path / "s.zarr", arrays="color,depht")


def test_parts_share_no_episode_and_merge_to_the_whole(four, tmp_path, same_episode):
    reports = split(four, tmp_path / "parts", parts="train:0.5,val:1,test:rest", seed=3)
    assert {name: report.episodes for name, report in reports.items()} == {
        "train": 2, "val": 1, "test": 1,
    }  # fmt: skip
    whole = merge([report.path for report in reports.values()], tmp_path / "whole.zarr").path
    found = {episode.seed: episode for episode in _episodes(whole)}
    assert sorted(found) == [100, 101, 102, 103]
    for episode in _episodes(four):
        same_episode(episode, found[episode.seed])
    spec = open_dataset(whole).spec
    assert open_dataset(four).spec.differences(spec) == {}
    sources = spec.extra["edited"][-1]["sources"]
    assert [note["notes"]["edited"][0]["options"]["part"] for note in sources] == list(reports)


@pytest.mark.parametrize("seed", [1, None])
def test_the_seed_decides_a_split_and_none_keeps_the_order(write_dataset, tmp_path, seed):
    source = write_dataset(*[2] * 6, name="six.zarr")
    reports = split(source, tmp_path / "s", parts="train:2,val:rest", seed=seed)
    order = range(6) if seed is None else np.random.default_rng(seed).permutation(6)
    assert list(open_dataset(reports["train"].path).seeds) == sorted(100 + i for i in order[:2])
    assert list(open_dataset(reports["val"].path).seeds) == sorted(100 + i for i in order[2:])


@pytest.mark.parametrize("parts", ["a:0.5", "a:3", "a:5,b:rest", "a:rest,b:rest", "a:4,b:rest",
                                   "a:0.5,a:0.5", "../a:rest", "a", "a:-1,b:rest", ""])  # fmt: skip
def test_parts_that_do_not_add_up_are_refused(parts):
    with pytest.raises(ConfigError):
        parse_parts(parts, 4)


@pytest.mark.parametrize(
    ("text", "found"), [("all", [0, 1, 2, 3]), ("2:", [2, 3]), ("3,:2", [3, 0, 1])]
)
def test_episodes_are_read_as_people_write_them(text, found):
    assert parse_episodes(text, 4) == found


@pytest.mark.parametrize("text", ["4", "-1", "2:2", "1,1", "0:9", "a", "", "1;2", "9" * 400])
def test_episodes_that_cannot_be_are_refused(text):
    with pytest.raises(ConfigError, match="Received"):
        parse_episodes(text, 4)


def test_an_interrupted_edit_goes_on_to_the_same_dataset(four, tmp_path, same_episode):
    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        subset(four, tmp_path / "s.zarr", progress=stop)
    assert open_dataset(tmp_path / "s.zarr").episode_count == 2
    calls = []
    subset(four, tmp_path / "s.zarr", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(3, 4), (4, 4)]
    subset(four, tmp_path / "once.zarr")
    for name in ("data/point_cloud/c/0/0/0", "meta/episode_seed/c/0", "zarr.json"):
        assert (tmp_path / "s.zarr" / name).read_bytes() == (
            tmp_path / "once.zarr" / name
        ).read_bytes()
    before = (tmp_path / "s.zarr" / "zarr.json").stat().st_mtime_ns
    subset(four, tmp_path / "s.zarr")  # a finished one is left as it is
    assert (tmp_path / "s.zarr" / "zarr.json").stat().st_mtime_ns == before


def test_an_edit_does_not_go_on_from_something_else(four, write_dataset, tmp_path):
    subset(four, tmp_path / "s.zarr", first=2)
    with pytest.raises(DataError, match="only be continued as it began"):
        subset(four, tmp_path / "s.zarr", first=3)
    other = write_dataset(5, 3, 7, name="other.zarr")
    with pytest.raises(DataError, match="only be continued as it began"):
        subset(other, tmp_path / "s.zarr", first=2)
    with pytest.raises(DataError, match="only be continued as it began"):
        subset(four, write_dataset(5, name="collected.zarr"))


@pytest.mark.parametrize("where", [".", "data", ".."])
def test_a_source_is_never_written_to(four, where):
    before = (four / "zarr.json").read_bytes()
    with pytest.raises(DataError, match="must lie apart"):
        subset(four, four / where)
    assert (four / "zarr.json").read_bytes() == before


def test_another_content_has_another_fingerprint(four, tmp_path):
    subset(four, tmp_path / "a.zarr", first=1)
    chunk = four / "data" / "action" / "c" / "0" / "0"
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(DataError, match="only be continued as it began"):
        subset(four, tmp_path / "a.zarr", first=1)


def test_a_damaged_episode_is_named_and_the_others_are_kept(write_dataset, tmp_path):
    source = write_dataset(100, 100, name="long.zarr")  # a chunk each
    chunk = source / "data" / "state" / "c" / "1" / "0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 255
    chunk.write_bytes(content)
    with pytest.raises(DataError, match=r"'data/state' .* damaged in chunk 1"):
        subset(source, tmp_path / "s.zarr")
    assert open_dataset(tmp_path / "s.zarr").episode_count == 1


def test_the_versions_that_made_the_source_stay_on_record(four, tmp_path):
    spec = open_dataset(subset(four, tmp_path / "s.zarr", first=1).path).spec
    made_by = open_dataset(four).spec.extra["packages"]
    assert spec.extra["edited"][0]["sources"][0]["packages"] == made_by
    assert [note["first_episode"] for note in spec.extra["packages"]] == [0]
    again = open_dataset(subset(tmp_path / "s.zarr", tmp_path / "t.zarr").path).spec
    assert [entry["operation"] for entry in again.extra["edited"]] == ["subset", "subset"]


def test_numbers_survive_an_edit(four, tmp_path):
    path = subset(four, tmp_path / "s.zarr", episodes="2,1").path
    dataset = open_dataset(path)
    np.testing.assert_array_equal(dataset.seeds, [102, 101])
    np.testing.assert_array_equal(dataset.episode_ends, [7, 10])
