"""A dataset in few words: enough to see that a run goes on with the same one, or what changed."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from mfpolicy.data import Dataset

RENDERER = "renderer"
CLOUDS = 16
"""Clouds whose values are compared, spread evenly over the data: all of them are slow to read."""


def describe_data(dataset: Dataset, *, color: bool = False) -> dict[str, Any]:
    """Returns what the dataset holds and says of itself, as plain JSON-able values.

    ``values`` holds digests: of all episode ends, states and actions, and of ``CLOUDS`` clouds.
    Where ``color`` is used, also of their colors, and ``renderer`` is what made them, if known.

    Raises:
        DataError: a chunk is damaged.
    """
    said = dataset.spec.to_dict()
    del said["extra"]  # versions of packages: the values themselves are compared
    steps = np.linspace(0, dataset.step_count - 1, CLOUDS).round().astype(int).tolist()
    clouds = [dataset.read_points(step, step + 1) for step in steps]
    colors = [dataset.read_colors(step, step + 1) for step in steps] if color else []
    return {
        "episodes": dataset.episode_count,
        "steps": dataset.step_count,
        **said,
        **({RENDERER: dataset.spec.extra.get(RENDERER)} if color else {}),
        "seeds": None if dataset.seeds is None else dataset.seeds.tolist(),
        "values": {
            "episode_ends": _digest(dataset.episode_ends),
            "state": _digest(dataset.stored("state").read(0, dataset.step_count)),
            "action": _digest(dataset.stored("action").read(0, dataset.step_count)),
            "point_cloud": _digest(np.concatenate(clouds)),
            **({"color": _digest(np.concatenate(colors))} if color else {}),
        },
    }


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]
