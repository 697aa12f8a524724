"""Demonstrations → zarr → batch: the store, its windows, the normaliser, collection.

Nothing heavy is imported until a name is used: zarr with the store, torch with the
window dataset and the normaliser. ``collect`` lives in :mod:`mfpolicy.data.collect`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mfpolicy.data.dataset import WindowDataset as WindowDataset
    from mfpolicy.data.episode import Episode as Episode
    from mfpolicy.data.normalizer import ChannelNormalizer as ChannelNormalizer
    from mfpolicy.data.normalizer import Normalizer as Normalizer
    from mfpolicy.data.reader import Dataset as Dataset
    from mfpolicy.data.reader import open_dataset as open_dataset
    from mfpolicy.data.schema import DatasetSpec as DatasetSpec
    from mfpolicy.data.windows import window_indices as window_indices
    from mfpolicy.data.writer import DatasetWriter as DatasetWriter

_HOME = {
    "ChannelNormalizer": "normalizer",
    "Dataset": "reader",
    "DatasetSpec": "schema",
    "DatasetWriter": "writer",
    "Episode": "episode",
    "Normalizer": "normalizer",
    "WindowDataset": "dataset",
    "open_dataset": "reader",
    "window_indices": "windows",
}

__all__ = [
    "ChannelNormalizer",
    "Dataset",
    "DatasetSpec",
    "DatasetWriter",
    "Episode",
    "Normalizer",
    "WindowDataset",
    "open_dataset",
    "window_indices",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
