"""Zarr arrays that grow by episodes and can be cut back to what is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store


def open_growing(store: Store, name: str) -> zarr.Array:
    """Opens the array ``name`` for writing.

    Every chunk gets a file, even one of zeros, so that a missing file is always damage.
    """
    import zarr

    # For an array that exists, open_array ignores an argument ``config`` without a word.
    with zarr.config.set({"array.write_empty_chunks": True}):
        return zarr.open_array(store, path=name, mode="r+", zarr_format=3)


def create_growing(
    store: Store, name: str, *, dtype: np.dtype, row_shape: tuple[int, ...], rows_per_chunk: int
) -> zarr.Array:
    """Creates the array ``name`` without rows; chunks are compressed and carry a checksum."""
    import zarr
    from zarr.codecs import BloscCodec, Crc32cCodec

    return zarr.create_array(
        store,
        name=name,
        shape=(0, *row_shape),
        chunks=(rows_per_chunk, *row_shape),
        dtype=dtype,
        compressors=[BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"), Crc32cCodec()],
        zarr_format=3,
        config={"write_empty_chunks": True},
    )


def extend(array: zarr.Array, rows: int, values: np.ndarray) -> None:
    """Writes ``values`` behind the first ``rows`` rows and ends the array there."""
    array.resize((rows + len(values), *array.shape[1:]))
    array[rows:] = values


def cut(array: zarr.Array, rows: int) -> None:
    """Cuts the array back to its first ``rows`` rows."""
    if array.shape[0] <= rows:
        return
    # Zeros in the shared last chunk make it the same file as if nothing had been cut.
    last = min(array.shape[0], -(-rows // array.chunks[0]) * array.chunks[0])
    if last > rows:
        array[rows:last] = np.zeros((last - rows, *array.shape[1:]), array.dtype)
    array.resize((rows, *array.shape[1:]))
