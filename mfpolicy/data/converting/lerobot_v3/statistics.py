"""Statistics of features as LeRobot's ``meta/stats.json`` has them."""

from __future__ import annotations

from typing import Any

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
_PICTURES = 16
"""Frames of an episode whose pixels are counted; LeRobot samples likewise."""

Statistics = dict[str, np.ndarray]


def of_vectors(values: np.ndarray) -> Statistics:
    """Statistics of (N, D) or (N,), one of each per dimension; quantiles exact."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    return {
        "min": rows.min(0), "max": rows.max(0), "mean": rows.mean(0), "std": rows.std(0),
        "count": np.array([len(rows)]),
        **{name: np.quantile(rows, share, axis=0) for name, share in QUANTILES.items()},
    }  # fmt: skip


def of_pictures(frames: np.ndarray) -> Statistics:
    """Statistics of (N, H, W, 3) uint8 over pixels, colors from 0 to 1: each (3, 1, 1)."""
    chosen = frames[np.unique(np.linspace(0, len(frames) - 1, _PICTURES).round().astype(int))]
    found = of_vectors(chosen.reshape(-1, 3))
    return {
        name: np.array([len(chosen)]) if name == "count" else (value / 255).reshape(3, 1, 1)
        for name, value in found.items()
    }


class Aggregate:
    """Statistics of many episodes: exact, but for quantiles, which are means of the episodes'."""

    def __init__(self) -> None:
        self._found: dict[str, Statistics] = {}

    def add(self, name: str, new: Statistics) -> None:
        """Adds an episode's statistics of a feature."""
        old = self._found.get(name)
        if old is None:
            self._found[name] = {key: np.asarray(value) for key, value in new.items()}
            return
        counts = old["count"][0], new["count"][0]
        weight = counts[1] / sum(counts)
        merged = {key: (1 - weight) * old[key] + weight * new[key] for key in old}
        apart = old["mean"] - new["mean"]
        variance = (1 - weight) * old["std"] ** 2 + weight * new["std"] ** 2
        merged["std"] = np.sqrt(variance + weight * (1 - weight) * apart**2)
        merged["min"] = np.minimum(old["min"], new["min"])
        merged["max"] = np.maximum(old["max"], new["max"])
        merged["count"] = np.array([sum(counts)])
        self._found[name] = merged

    def to_dict(self) -> dict[str, Any]:
        """All of them as JSON-able values."""
        return {
            name: {key: value.tolist() for key, value in found.items()}
            for name, found in self._found.items()
        }
