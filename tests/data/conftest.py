"""Small real datasets on disk, and an environment that needs no simulator."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mfpolicy.data.store import DatasetSpec, DatasetWriter, Episode
from mfpolicy.pointcloud import PointCloudRecipe
from mfpolicy.types import TaskSpec

POINTS, STATE, ACTION = 12, 3, 2
RECIPE = PointCloudRecipe("top", (0.0, 0.0, 1.0), 32, (-1, -1, 0), (1, 1, 1), points=POINTS)
CAMERA = {"intrinsics": [[30.0, 0, 16], [0, 30.0, 16], [0, 0, 1]], "image_size": 32}


def _episode(index: int, length: int) -> Episode:
    rng = np.random.default_rng([index, length])
    return Episode(
        point_cloud=rng.uniform(-1, 1, (length, POINTS, 3)).astype(np.float32),
        agent_pos=rng.normal(size=(length, STATE)).astype(np.float32),
        action=rng.uniform(-1, 1, (length, ACTION)).astype(np.float32),
        seed=100 + index,
        success=True,
        color=rng.integers(0, 256, (length, POINTS, 3)).astype(np.uint8),
        extras={"full_state": rng.normal(size=(length, 5))},
    )


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch):
    """Leaves out the flush that only a power cut needs; one test looks whether it is there."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.fixture
def spec():
    return DatasetSpec(
        task="toy/reach", control_rate_hz=20.0, expert="scripted", recipe=RECIPE, camera=CAMERA,
        state_dim=STATE, action_dim=ACTION, points=POINTS,
    )  # fmt: skip


@pytest.fixture
def make_episode():
    """Returns the factory of reproducible random episodes: index, length → Episode."""
    return _episode


@pytest.fixture(scope="session")
def _written(tmp_path_factory):
    """Datasets by the lengths of their episodes; each is written once and copied after that."""
    written: dict[tuple[int, ...], Path] = {}

    def write(lengths: tuple[int, ...], spec: DatasetSpec) -> Path:
        if lengths not in written:
            path = tmp_path_factory.mktemp("written") / "toy.zarr"
            with DatasetWriter.open(path, spec) as writer:
                for index, length in enumerate(lengths):
                    writer.append(_episode(index, length))
            written[lengths] = path
        return written[lengths]

    return write


@pytest.fixture
def write_dataset(tmp_path, spec, _written):
    """Returns a function that writes episodes of the given lengths and returns the path."""

    def write(*lengths: int, name: str = "toy.zarr") -> Path:
        return shutil.copytree(_written(lengths, spec), tmp_path / name)

    return write


@pytest.fixture
def same_episode():
    """Returns an assertion that two episodes are equal, bit for bit."""

    def check(one: Episode, other: Episode) -> None:
        assert (one.seed, one.success, set(one.extras)) == (
            other.seed, other.success, set(other.extras),
        )  # fmt: skip
        pairs = [
            (one.point_cloud, other.point_cloud), (one.agent_pos, other.agent_pos),
            (one.action, other.action), (one.color, other.color),
            *((one.extras[name], other.extras[name]) for name in one.extras),
        ]  # fmt: skip
        for mine, theirs in pairs:
            assert (mine is None) == (theirs is None)
            if mine is not None:
                assert mine.dtype == theirs.dtype
                np.testing.assert_array_equal(mine, theirs)

    return check


class ToyEnv:
    """A point that a proportional expert moves to the origin; some seeds never get there."""

    recipe = RECIPE
    camera = CAMERA
    renderer = "egl"
    spec_task = TaskSpec("toy/reach", "toy", "easy", STATE, ACTION, 40, 20.0, "scripted")

    def __init__(self, *, fails=lambda seed: False, interrupt_after: int | None = None):
        self.fails, self.interrupt_after = fails, interrupt_after
        self.simulated, self.closed = 0, False

    def reset(self, *, seed):
        self.rng = np.random.default_rng(seed)
        self.position = self.rng.uniform(0.5, 1.0, ACTION)
        self.hopeless = self.fails(seed)
        return self.observe_full()

    def observe_full(self):
        cloud = np.zeros((POINTS, 3), np.float32)
        cloud[:, :2] = self.position + np.linspace(0, 0.1, POINTS)[:, None]
        return {
            "point_cloud": cloud,
            "agent_pos": np.array([*self.position, 0.0], np.float32),
            "color": np.full((POINTS, 3), int(abs(self.position[0]) * 99), np.uint8),
            "full_state": np.array([*self.position, 1.0]),
        }

    def observe(self):
        full = self.observe_full()
        return {name: full[name] for name in ("point_cloud", "agent_pos")}

    def expert_action(self):
        return -0.3 * self.position + 0.01 * self.rng.normal(size=ACTION)

    def simulate(self, action):
        self.simulated += 1
        if self.interrupt_after is not None and self.simulated > self.interrupt_after:
            raise KeyboardInterrupt
        self.position = self.position + (0 if self.hopeless else np.asarray(action, np.float64))
        return 0.0, False, False, {"success": bool(np.abs(self.position).max() < 0.1)}

    def close(self):
        self.closed = True


@pytest.fixture
def toy_env():
    """The class of the environment without a simulator."""
    return ToyEnv
