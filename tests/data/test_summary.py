"""What is said of a dataset is what is in it."""

import json

import numpy as np
import pytest
import zarr

from mfpolicy.data.store import open_dataset
from mfpolicy.data.summary import summarize
from mfpolicy.errors import DataError


def test_summary_of_a_dataset(write_dataset):
    path = write_dataset(30, 90)
    summary = json.loads(json.dumps(summarize(path, bins=10)))
    dataset = open_dataset(path)
    state = dataset.array("state")[:]
    assert (summary["kind"], summary["zarr_format"], summary["schema_version"]) == (
        "mfpolicy",
        3,
        1,
    )
    assert (summary["task"], summary["control_rate_hz"], summary["frame"]) == (
        "toy/reach", 20.0, "world",
    )  # fmt: skip
    episodes = summary["episodes"]
    assert (episodes["count"], episodes["steps"], episodes["seconds"]) == (2, 120, 6.0)
    assert (episodes["shortest"], episodes["longest"], episodes["successes"]) == (30, 90, 2)
    assert episodes["seeds"] == [100, 101]
    facts = summary["arrays"]["state"]
    assert facts["shape"] == [120, 3]
    np.testing.assert_allclose(facts["min"], state.min(axis=0), rtol=1e-6)
    np.testing.assert_allclose(facts["max"], state.max(axis=0), rtol=1e-6)
    np.testing.assert_allclose(facts["mean"], state.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(facts["std"], state.std(axis=0), rtol=1e-4)
    assert "min" not in summary["arrays"]["full_state"]
    files = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    assert summary["bytes"]["stored"] == files
    assert summary["bytes"]["raw"] == 120 * (12 * 3 * 4 + 12 * 3 + 3 * 4 + 2 * 4 + 5 * 8)


def test_the_deviation_of_a_channel_far_from_zero_keeps_its_digits(write_dataset):
    path = write_dataset(30, 90)
    far, near = zarr.open_array(str(path), path="data/full_state", mode="r+"), np.arange(120.0)
    stamps = far[:]
    stamps[:, 0] = 1.7e18 + 5e7 * near  # nanoseconds at 20 Hz
    stamps[:, 1] = np.where(near < 7, np.nan, 1e9 + near % 2)
    stamps[:, 2] = np.nan
    far[:] = stamps
    facts = summarize(path, values="all")["arrays"]
    assert facts["full_state"]["std"][0] == pytest.approx(5e7 * near.std(), rel=1e-6)
    assert facts["full_state"]["std"][1] == pytest.approx(0.5, rel=1e-3)
    assert facts["full_state"]["mean"][:2] == pytest.approx([1.7e18 + 5e7 * 59.5, 1e9 + 0.5])
    assert (facts["full_state"]["mean"][2], facts["full_state"]["min"][2]) == (0.0, None)


def test_histogram_counts_every_action(write_dataset):
    path = write_dataset(30, 90)
    actions = open_dataset(path).array("action")[:]
    for channel, bars in enumerate(summarize(path, bins=7)["actions"]):
        expected, edges = np.histogram(actions[:, channel].astype(float), 7)
        assert bars["counts"] == expected.tolist()
        assert (bars["low"], bars["high"]) == pytest.approx((edges[0], edges[-1]))


@pytest.mark.parametrize(("values", "read"), [("none", 0), ("training", 3), ("all", 5)])
def test_only_the_values_asked_for_are_read(write_dataset, values, read):
    summary = summarize(write_dataset(5), values=values)
    assert sum("min" in facts for facts in summary["arrays"].values()) == read


def test_a_damaged_dataset_is_refused(tmp_path):
    with pytest.raises(DataError, match="must exist"):
        summarize(tmp_path / "nothing")
