"""The store: everything that reads or writes datasets on disk, under one name."""

from __future__ import annotations

from mfpolicy.data.episode import Episode as Episode
from mfpolicy.data.reader import Dataset as Dataset
from mfpolicy.data.reader import open_dataset as open_dataset
from mfpolicy.data.schema import SCHEMA_VERSION as SCHEMA_VERSION
from mfpolicy.data.schema import DatasetSpec as DatasetSpec
from mfpolicy.data.writer import DatasetWriter as DatasetWriter

__all__ = [
    "SCHEMA_VERSION",
    "Dataset",
    "DatasetSpec",
    "DatasetWriter",
    "Episode",
    "open_dataset",
]
