from __future__ import annotations

import json
import resource
import signal
from pathlib import Path

import pytest

from mfpolicy.errors import RunError
from mfpolicy.evaluation.records import (
    differing_settings,
    fresh_name,
    open_log,
    read_log,
    write_json,
)
from mfpolicy.types import EpisodeResult

SETTINGS = {"task": "fake/reach", "nfe": 1, "recipe": {"crop_min": (0.0, 1.0)}}


def result(seed: int) -> EpisodeResult:
    return EpisodeResult(seed, True, False, 7, -0.1 * seed, 2, {"total": [1.5, 0.1 + seed]})


def write(folder: Path, *seeds: int) -> None:
    with open_log(folder, SETTINGS) as log:
        for seed in seeds:
            log.append(result(seed))


def test_records_read_back_exactly(tmp_path):
    write(tmp_path / "a", 3, 1, 2)
    assert read_log(tmp_path / "a") == {seed: result(seed) for seed in (1, 2, 3)}


def test_reopening_goes_on_where_it_stopped(tmp_path):
    write(tmp_path / "a", 1, 2)
    with open_log(tmp_path / "a", SETTINGS) as log:
        assert set(log.results) == {1, 2}
        log.append(result(3))
    assert set(read_log(tmp_path / "a")) == {1, 2, 3}


@pytest.mark.parametrize("cut", range(1, 12, 3))
def test_torn_last_line_is_dropped_and_its_place_used_again(tmp_path, cut):
    folder = tmp_path / "a"
    write(folder, 1, 2)
    path = folder / "episodes.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert set(read_log(folder)) == {1}
    write(folder, 5)
    assert set(read_log(folder)) == {1, 5}
    assert all(json.loads(line) for line in path.read_text().splitlines())


@pytest.mark.parametrize("damage", ['{"seed": 1', '{"seed": 1}', "[]", "7", "null"])
def test_damaged_line_is_named_and_nothing_changed(tmp_path, damage):
    folder = tmp_path / "a"
    write(folder, 1, 2)
    path = folder / "episodes.jsonl"
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{damage}\n{second}\n")
    before = path.read_bytes()
    with pytest.raises(RunError, match="line 2 is not"), open_log(folder, SETTINGS):
        pass
    assert path.read_bytes() == before


def test_full_disk_is_an_error_and_the_next_writer_goes_on(tmp_path):
    folder = tmp_path / "a"
    write(folder, 1)
    size = (folder / "episodes.jsonl").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limits[1]))
        with pytest.raises(RunError, match="free disk space"):
            write(folder, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    write(folder, 3)
    assert set(read_log(folder)) == {1, 3}


def test_settings_are_compared_by_what_json_keeps_of_them(tmp_path):
    write(tmp_path / "a", 1)
    assert (
        differing_settings(tmp_path / "a", {**SETTINGS, "recipe": {"crop_min": [0.0, 1.0]}}) == {}
    )
    assert differing_settings(tmp_path / "a", {**SETTINGS, "nfe": 2}) == {"nfe": (1, 2)}
    assert differing_settings(tmp_path / "a", {**SETTINGS, "more": 1}) == {"more": (None, 1)}


def test_fresh_name_is_the_first_that_fits(tmp_path):
    other = {**SETTINGS, "nfe": 2}
    assert fresh_name(tmp_path, "base", SETTINGS) == "base"
    write(tmp_path / "base", 1)
    assert fresh_name(tmp_path, "base", SETTINGS) == "base"
    assert fresh_name(tmp_path, "base", other) == "base-2"
    with open_log(tmp_path / "base-2", other):
        pass
    assert fresh_name(tmp_path, "base", other) == "base-2"
    assert fresh_name(tmp_path, "base", {**SETTINGS, "nfe": 3}) == "base-3"


def test_folder_without_episodes_is_named(tmp_path):
    with pytest.raises(RunError, match=r"must hold episodes\.jsonl"):
        read_log(tmp_path)


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "summary.json"
    write_json(path, {"k": 1})
    with pytest.raises(TypeError):
        write_json(path, {"k": object()})
    assert json.loads(path.read_text()) == {"k": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["summary.json"]
