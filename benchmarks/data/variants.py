"""Sound variants of a dataset: fewer points, one episode, the layout of DP3's generators."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zarr

from mfpolicy.data.store import Dataset, DatasetWriter, open_dataset


def half_the_points(source: Dataset, out: Path) -> None:
    """The first half of every cloud, without colors and other arrays."""
    spec = source.spec
    points = spec.points // 2
    recipe = None if spec.recipe is None else dataclasses.replace(spec.recipe, points=points)
    with DatasetWriter.open(out, dataclasses.replace(spec, points=points, recipe=recipe)) as writer:
        for index in range(source.episode_count):
            episode = source.episode(index)
            cloud = episode.point_cloud[:, :points]
            writer.append(dataclasses.replace(episode, point_cloud=cloud, color=None, extras={}))


def last_episode(source: Dataset, out: Path) -> None:
    """The last episode alone."""
    with DatasetWriter.open(out, source.spec) as writer:
        writer.append(source.episode(source.episode_count - 1))


def as_dp3(source: Dataset, out: Path) -> None:
    """Zarr format 2 without attributes, colors beside the coordinates."""
    episodes = [source.episode(index) for index in range(source.episode_count)]
    cloud = np.concatenate([e.point_cloud for e in episodes])
    colors = [e.color for e in episodes if e.color is not None]
    if colors:
        cloud = np.concatenate([cloud, np.concatenate(colors).astype(np.float32)], axis=-1)
    arrays = {
        "data/point_cloud": cloud,
        "data/state": np.concatenate([e.agent_pos for e in episodes]),
        "data/action": np.concatenate([e.action for e in episodes]),
        "meta/episode_ends": source.episode_ends,
    }
    group = zarr.create_group(str(out), zarr_format=2)
    for name, values in arrays.items():
        chunks = (min(100, len(values)), *values.shape[1:])
        array = group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=chunks)
        array[...] = values


VARIANTS: dict[str, Callable[[Dataset, Path], None]] = {
    "half the points, no extras": half_the_points,
    "one episode": last_episode,
    "DP3's layout": as_dp3,
}


def make_variant(source: Path, name: str, out: Path) -> None:
    """Writes the variant ``name`` of the dataset at ``source`` to ``out``."""
    VARIANTS[name](open_dataset(source), out)
