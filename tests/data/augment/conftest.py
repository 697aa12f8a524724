"""Windows of a small dataset with colors, whose actions point from the hand to what is seen."""

import dataclasses

import numpy as np
import pytest
import torch

from mfpolicy.data import DatasetWriter, Normalizer, WindowDataset, open_dataset
from mfpolicy.data.augment import Scene
from mfpolicy.types import WorldVectors
from oracles.demonstrations import episode, write_dataset

HAND = WorldVectors(
    state_positions=((0, 1, 2), (3, 4, 5), (6, 7, 8)), action_displacements=((0, 1, 2),)
)


@pytest.fixture(scope="session")
def windows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("augment")
    spec = open_dataset(write_dataset(folder / "plain.zarr", episodes=1)).spec
    with DatasetWriter.open(folder / "colored.zarr", spec) as writer:
        for seed in range(3):
            random = np.random.default_rng(seed)
            shown = episode(seed)
            colors = random.integers(0, 256, shown.point_cloud.shape).astype(np.uint8)
            writer.append(dataclasses.replace(shown, color=colors))
    sizes = {"n_obs_steps": 3, "horizon": 6, "n_action_steps": 3}
    return WindowDataset(open_dataset(folder / "colored.zarr"), **sizes, color=True)


@pytest.fixture(scope="session")
def scene(windows):
    points = Normalizer.fit(windows).point_cloud
    middle, reach = points.offset[:3], 1 / points.scale[:3]
    return Scene(middle - reach, middle + reach, True, 9, 4, HAND, "metaworld/drawer-open")


@pytest.fixture
def batch(windows):
    """All windows in random order, those that repeat a frame among them."""
    order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))
    return windows.batch(order)
