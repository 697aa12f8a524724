"""Arrays that are opened again keep a file for every chunk, whatever values it holds."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from mfpolicy.data.durable import DurableStore
from mfpolicy.data.growing_array import create_growing, cut, extend, open_growing


@pytest.fixture
def store(tmp_path):
    return zarr.create_group(DurableStore(tmp_path / "d.zarr"), zarr_format=3).store


def _create(store, dtype):
    return create_growing(store, "a", dtype=np.dtype(dtype), row_shape=(), rows_per_chunk=4)


@pytest.mark.parametrize("dtype", ["int64", "float32", "bool"])
def test_committed_zeros_keep_their_file_when_an_interrupted_append_is_cut_away(store, dtype):
    array = _create(store, dtype)
    extend(array, 0, np.zeros(1, dtype))
    file = store.root / "a" / "c" / "0"
    committed = file.read_bytes()
    extend(array, 1, np.ones(1, dtype))
    assert file.read_bytes() != committed

    again = open_growing(store, "a")
    cut(again, 1)
    assert file.read_bytes() == committed
    extend(again, 1, np.zeros(7, dtype))
    assert {path.name for path in file.parent.iterdir()} == {"0", "1"}
