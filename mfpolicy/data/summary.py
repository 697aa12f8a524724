"""A dataset in short: sizes, lengths, ranges, a histogram of the actions."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.reader import Dataset, open_dataset
from mfpolicy.data.stored_array import StoredArray

_BLOCK_BYTES = 32 << 20
_MOST_CHANNELS = 64
READ = ("training", "all", "none")
"""Whose values are read: of what training reads, of all arrays, of none."""


def summarize(
    path: str | os.PathLike[str],
    *,
    values: str = "training",
    bins: int = 20,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Returns what there is to say of the dataset at ``path``, JSON-able.

    Chunks are read one after the other, so memory does not grow with the dataset.

    Args:
        path: folder of the dataset.
        values: one of ``READ``.
        bins: of the histogram of each action channel, between its extremes.
        progress: called with rows done, rows in all, and the name of the array.

    Raises:
        DataError: the dataset is damaged; ``check_dataset`` tells all that is wrong.

    Example:
        >>> summarize("data/drawer-open.zarr")["episodes"]              # doctest: +SKIP
        {'count': 10, 'steps': 978, 'shortest': 91, 'median': 98.0, 'longest': 104, ...}
    """
    dataset = open_dataset(path)
    names = {
        "none": [],
        "training": ["point_cloud", "state", "action"],
        "all": dataset.array_names,
    }[values]
    arrays = {}
    for done, name in enumerate(names):
        report = None
        if progress is not None:
            report = _counting(progress, done * dataset.step_count, len(names), dataset, name)
        arrays[name] = _ranges(dataset, name, report)
    spec = dataset.spec
    return {
        "path": str(dataset.path),
        "kind": "mfpolicy" if dataset.seeds is not None else "DP3 family",
        "zarr_format": dataset.zarr_format,
        "schema_version": dataset.attributes.get("schema_version") if _is_ours(dataset) else None,
        "task": spec.task,
        "expert": spec.expert,
        "control_rate_hz": spec.control_rate_hz,
        "frame": None if spec.recipe is None else spec.recipe.frame,
        "recipe": None if spec.recipe is None else spec.recipe.to_dict(),
        "camera": spec.camera,
        "notes": spec.extra,
        "episodes": _episodes(dataset),
        "arrays": {
            name: {**_storage(dataset.path, dataset.stored(name), dataset.step_count), **extra}
            for name in dataset.array_names
            for extra in [arrays.get(name, {})]
        },
        "bytes": _sizes(dataset),
        "actions": _histogram(dataset, arrays["action"], bins) if "action" in arrays else None,
    }


def _is_ours(dataset: Dataset) -> bool:
    return dataset.seeds is not None


def _counting(
    progress: Callable[[int, int, str], None], before: int, arrays: int, dataset: Dataset, name: str
) -> Callable[[int], None]:
    return lambda row: progress(before + row, arrays * dataset.step_count, name)


def _episodes(dataset: Dataset) -> dict[str, Any]:
    lengths = np.diff(dataset.episode_ends, prepend=0)
    rate = dataset.spec.control_rate_hz
    success = dataset.success
    return {
        "count": dataset.episode_count,
        "steps": dataset.step_count,
        "seconds": None if rate is None else dataset.step_count / rate,
        "shortest": int(lengths.min()),
        "median": float(np.median(lengths)),
        "longest": int(lengths.max()),
        "successes": None if success is None else int(success.sum()),
        "lengths": lengths.tolist(),
        "seeds": None if dataset.seeds is None else dataset.seeds.tolist(),
        "success": None if success is None else success.tolist(),
    }


def _storage(root: Path, stored: StoredArray, steps: int) -> dict[str, Any]:
    array = stored.array
    return {
        "shape": [steps, *array.shape[1:]],
        "dtype": str(array.dtype),
        "chunks": list(stored.chunk_shape),
        "codecs": list(stored.codecs),
        "raw_bytes": steps * stored.row_bytes,
        "stored_bytes": _folder_bytes(root / stored.name),
    }


def _sizes(dataset: Dataset) -> dict[str, int]:
    raw = sum(dataset.stored(name).row_bytes for name in dataset.array_names)
    return {"raw": raw * dataset.step_count, "stored": _folder_bytes(dataset.path)}


def _folder_bytes(folder: Path) -> int:
    """Bytes of the files in ``folder``; links are not followed."""
    total, pending = 0, [os.fspath(folder)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def _ranges(
    dataset: Dataset, name: str, report: Callable[[int], None] | None
) -> dict[str, list[float | None] | int]:
    """Extremes, mean and deviation of each channel; of points and colors, of each axis.

    NaN and infinity are counted and left out. Sums are taken of what exceeds each channel's first
    finite value: the squares of stamps would leave no digit for their deviation.
    """
    stored = dataset.stored(name)
    channels = _channels(stored)
    low, high = np.full(channels, np.inf), np.full(channels, -np.inf)
    count, total, squares = np.zeros(channels), np.zeros(channels), np.zeros(channels)
    origin = np.full(channels, np.nan)
    odd = 0
    for values in _blocks(dataset, name, report):
        flat = values.reshape(-1, channels).astype(np.float64)
        finite = np.isfinite(flat)
        if not finite.all():
            odd += int((~finite).sum())
        low = np.minimum(low, np.where(finite, flat, np.inf).min(axis=0))
        high = np.maximum(high, np.where(finite, flat, -np.inf).max(axis=0))
        first = flat[finite.argmax(axis=0), np.arange(channels)]
        origin = np.where(np.isnan(origin) & finite.any(axis=0), first, origin)
        clean = np.where(finite, flat - origin, 0.0)
        count += finite.sum(axis=0)
        total += clean.sum(axis=0)
        squares += np.square(clean).sum(axis=0)
    seen = np.maximum(count, 1)
    mean = total / seen
    deviation = np.sqrt(np.maximum(squares / seen - mean**2, 0))
    mean = mean + np.where(count > 0, origin, 0.0)
    described = {"min": low, "max": high, "mean": mean, "std": deviation}
    return {
        **{key: [float(v) if np.isfinite(v) else None for v in x] for key, x in described.items()},
        "not_finite": odd,
    }


def _channels(stored: StoredArray) -> int:
    """Over what the ranges are told apart: the last axis, where that is short."""
    shape = stored.array.shape
    return int(shape[-1]) if len(shape) > 1 and shape[-1] <= _MOST_CHANNELS else 1


def _blocks(dataset: Dataset, name: str, report: Callable[[int], None] | None):
    stored = dataset.stored(name)
    size = stored.rows_per_chunk
    rows = size * max(1, _BLOCK_BYTES // max(1, size * stored.row_bytes))
    for start in range(0, dataset.step_count, rows):
        stop = min(dataset.step_count, start + rows)
        yield stored.read(start, stop)
        if report is not None:
            report(stop)


def _histogram(dataset: Dataset, ranges: dict[str, Any], bins: int) -> list[dict[str, Any]]:
    """How often each action channel takes which values, between its extremes."""
    low = [0.0 if value is None else value for value in ranges["min"]]
    high = [0.0 if value is None else value for value in ranges["max"]]
    spans = zip(low, high, strict=True)
    edges = [np.linspace(a, b if b > a else a + 1.0, bins + 1) for a, b in spans]
    counts = np.zeros((len(edges), bins), np.int64)
    for values in _blocks(dataset, "action", None):
        flat = values.reshape(-1, len(edges)).astype(np.float64)
        for channel, edge in enumerate(edges):
            seen = flat[:, channel]
            counts[channel] += np.histogram(seen[np.isfinite(seen)], edge)[0]
    return [
        {"low": float(edge[0]), "high": float(edge[-1]), "counts": count.tolist()}
        for edge, count in zip(edges, counts, strict=True)
    ]
