"""What cannot be read does not change what is said of, and done with, the rest."""

import zarr

from benchmarks.data.damage import chunk_file
from mfpolicy.data.checking import check_dataset

HALF = 24
"""Steps in a chunk of ``halves``."""


def _array(path, name):
    return zarr.open_array(str(path), path=name, mode="r+")


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
