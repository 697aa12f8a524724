"""What cannot be read does not change what is said of, and done with, the rest."""

import shutil

import pytest
import zarr

from benchmarks.data.damage import chunk_file
from mfpolicy.data.checking import check_dataset, repair
from mfpolicy.data.store import open_dataset

HALF = 24
"""Steps in a chunk of ``halves``."""


def _array(path, name):
    return zarr.open_array(str(path), path=name, mode="r+")


def _flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(bytes(content))


def test_a_damaged_end_of_an_episode_tells_nothing_of_the_points_of_the_next(halves):
    cloud = _array(halves, "data/point_cloud")
    cloud[:HALF] = cloud[:HALF] * 1000
    chunk_file(halves, "data/point_cloud", 1).unlink()
    report = check_dataset(halves)
    assert [(finding.code, finding.episode) for finding in report.findings] == [
        ("chunk-missing", 0)
    ]
    assert (report.spoilt, report.factors) == ({0}, {})


def test_a_damaged_end_of_an_episode_does_not_hide_what_is_frozen_in_the_next(halves):
    _array(halves, "data/state")[3 * HALF : 4 * HALF, 1] = 2.5
    for chunk in (1, 2):
        chunk_file(halves, "data/state", chunk).unlink()
    found = {(finding.code, finding.episode) for finding in check_dataset(halves).findings}
    assert found == {("chunk-missing", 0), ("chunk-missing", 1), ("channel-frozen", 1)}


def test_a_folder_of_a_wrong_name_costs_no_other_array(halves, tmp_path):
    shutil.copytree(halves / "data/full_state", halves / "data/full state")
    report = check_dataset(halves)
    assert [finding.code for finding in report.findings] == ["layout-unsafe"]
    mended = open_dataset(repair(report, tmp_path / "mended.zarr").path)
    assert mended.array_names == ["action", "color", "full_state", "point_cloud", "state"]


@pytest.mark.parametrize("spoil", [lambda file: file.unlink(), _flip])
def test_a_damaged_chunk_behind_the_last_episode_does_not_hinder_a_repair(halves, tmp_path, spoil):
    _array(halves, "meta/episode_ends")[2] = 144 - HALF
    spoil(chunk_file(halves, "data/state", 5))
    report = check_dataset(halves)
    assert "ends-before-data" in {finding.code for finding in report.findings}
    assert repair(report, tmp_path / "mended.zarr").episodes == 3


def test_colors_that_are_no_bytes_are_left_out_of_a_repair_which_says_so(halves, tmp_path):
    colors = _array(halves, "data/color")[:]
    shutil.rmtree(halves / "data/color")
    group = zarr.open_group(str(halves), mode="r+")
    group.create_array("data/color", data=(colors / 255).astype("f4"), chunks=(144, 24, 3))
    mended = repair(check_dataset(halves), tmp_path / "mended.zarr")
    assert mended.actions == [
        "data/color left out: float32 (144, 24, 3), not uint8 of shape (N, 24, 3)"
    ]
    assert not open_dataset(mended.path).has_color
