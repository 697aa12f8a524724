"""Random damage leads to a refusal or a result, never to anything else."""

import random
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.data.fuzz import exercise, mutate
from benchmarks.data.smooth import write_smooth_dataset


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_smooth_dataset(tmp_path_factory.mktemp("tiny") / "tiny.zarr", 2, steps=6)


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32))
def test_random_damage_is_refused_or_read_but_never_crashes(tiny, tmp_path, seed):
    path = tmp_path / "mutant.zarr"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(tiny, path)
    mutate(path, random.Random(seed))
    exercise(path)


def test_damage_occurs_and_is_refused(tiny, tmp_path):
    outcomes = set()
    for seed in range(8):
        path = tmp_path / f"{seed}.zarr"
        shutil.copytree(tiny, path)
        mutate(path, random.Random(seed))
        outcomes.add(exercise(path))
    assert outcomes == {"read", "refused"}
