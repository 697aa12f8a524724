"""A small dataset with known structure: the action points from the hand to a moving target."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mfpolicy.data import DatasetSpec, DatasetWriter, Episode
from mfpolicy.pointcloud import PointCloudRecipe

TASK = "metaworld/drawer-open"
POINTS, STATE_DIM, ACTION_DIM = 32, 9, 4
RECIPE = PointCloudRecipe(
    camera="corner2",
    camera_position=(0.6, 0.295, 0.8),
    image_size=128,
    crop_min=(-1.0, -1.0, 0.0),
    crop_max=(1.0, 1.0, 1.0),
    points=POINTS,
)


def episode(seed: int, length: int = 20, *, action_dim: int = ACTION_DIM) -> Episode:
    """The hand walks towards a target that the cloud shows; action dimensions past four rest."""
    random = np.random.default_rng(seed)
    target = random.uniform(-0.5, 0.5, 3)
    hand = random.uniform(-0.5, 0.5, 3)
    clouds, states, actions = [], [], []
    for _ in range(length):
        clouds.append(target + 0.02 * random.standard_normal((POINTS, 3)))
        states.append(np.tile(hand, 3))
        step = np.clip(4 * (target - hand), -1, 1)
        actions.append([*step, np.sign(target[0]), *[0.0] * (action_dim - ACTION_DIM)])
        hand = hand + 0.05 * step
    return Episode(
        point_cloud=np.asarray(clouds, np.float32),
        agent_pos=np.asarray(states, np.float32),
        action=np.asarray(actions, np.float32),
        seed=seed,
        success=True,
    )


def write_dataset(
    path: Path,
    *,
    episodes: int = 4,
    first_seed: int = 0,
    task: str = TASK,
    action_dim: int = ACTION_DIM,
) -> Path:
    """Writes the dataset and returns its path."""
    spec = DatasetSpec(
        task=task,
        control_rate_hz=80.0,
        expert="scripted",
        recipe=RECIPE,
        camera=None,
        state_dim=STATE_DIM,
        action_dim=action_dim,
        points=POINTS,
    )
    with DatasetWriter.open(path, spec) as writer:
        for seed in range(first_seed, first_seed + episodes):
            writer.append(episode(seed, action_dim=action_dim))
    return path
