"""Sound datasets, written once and copied for each test."""

import os
import shutil

import pytest

from benchmarks.data.smooth import write_smooth_dataset


@pytest.fixture(scope="session")
def _sound(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: None)
        return write_smooth_dataset(tmp_path_factory.mktemp("sound") / "smooth.zarr")


@pytest.fixture
def smooth(_sound, tmp_path):
    """The path of a fresh copy."""
    return shutil.copytree(_sound, tmp_path / "smooth.zarr")


@pytest.fixture(scope="session")
def _halves(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: None)
        patch.setattr("mfpolicy.data.writer.STEPS_PER_CHUNK", 24)
        return write_smooth_dataset(tmp_path_factory.mktemp("halves") / "halves.zarr")


@pytest.fixture
def halves(_halves, tmp_path):
    """The path of a fresh copy of the same episodes in two chunks each."""
    return shutil.copytree(_halves, tmp_path / "halves.zarr")
