"""One file of points: PLY and PCD by open3d, NPZ and NPY by a reader of ours."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mfpolicy.data.converting.npz import read_npy, read_npz
from mfpolicy.errors import DataError

SUFFIXES = (".ply", ".pcd", ".npz", ".npy")
_MAX_POINTS = 20_000_000
_HEADER_BYTES = 64 << 10
_COUNT = {
    ".ply": re.compile(rb"element\s+\w+\s+(\d+)"),
    ".pcd": re.compile(rb"(?:POINTS|WIDTH|HEIGHT)\s+(\d+)"),
}
_END = {".ply": re.compile(rb"end_header"), ".pcd": re.compile(rb"\nDATA\s")}
_MAGIC = {".ply": re.compile(rb"ply\s"), ".pcd": re.compile(rb"(#.*\n)*\s*VERSION")}


def read_points(file: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Points of a file.

    Returns:
        (M, 3) float64 in the file's unit, and (M, 3) uint8 colors, or None.

    Raises:
        DataError: it is damaged, has no points, or declares more than it may.
    """
    suffix = file.suffix.lower()
    if suffix == ".npz":
        arrays = read_npz(file)
        points, colors = arrays.get("points"), arrays.get("colors")
        if points is None:
            raise DataError(f"{file} must have an array 'points'", received=sorted(arrays))
    elif suffix == ".npy":
        points, colors = read_npy(file), None
    else:
        points, colors = _by_open3d(file, suffix)
    if points.ndim != 2 or points.shape[1] not in (3, 6) or len(points) == 0:
        raise DataError(f"{file} must have points (M, 3)", received=points.shape)
    if points.shape[1] == 6 and colors is None:
        colors = points[:, 3:]
    if colors is not None and colors.shape != (len(points), 3):
        raise DataError(f"{file} must have a color a point", received=colors.shape)
    xyz = points[:, :3].astype(np.float64)
    return xyz, None if colors is None else np.nan_to_num(colors).clip(0, 255).astype(np.uint8)


def _by_open3d(file: Path, suffix: str) -> tuple[np.ndarray, np.ndarray | None]:
    _check_header(file, suffix)
    import open3d

    with open3d.utility.VerbosityContextManager(open3d.utility.VerbosityLevel.Error):
        cloud = open3d.io.read_point_cloud(
            file, format=suffix[1:], remove_nan_points=True, remove_infinite_points=True
        )
    if not cloud.has_points():
        raise DataError(f"{file} must be a whole file of points", remedy="restore it from a copy")
    colors = np.asarray(cloud.colors) * 255 if cloud.has_colors() else None
    return np.asarray(cloud.points), None if colors is None else colors.round()


def _check_header(file: Path, suffix: str) -> None:
    """Refuses a file that declares more points than it can hold: open3d makes room for them."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            head = stream.read(_HEADER_BYTES)
    except OSError as error:
        raise DataError(f"{file} must be readable: {error}") from error
    end = _END[suffix].search(head)
    if not _MAGIC[suffix].match(head) or end is None:
        raise DataError(f"{file} must begin with the header of a {suffix[1:].upper()} file")
    counts = [int(count[:20]) for count in _COUNT[suffix].findall(head[: end.start()])]
    compressed = b"binary_compressed" in head[end.start() : end.start() + 40]
    most = _MAX_POINTS if compressed else min(_MAX_POINTS, size)
    if max(counts, default=0) > most:
        raise DataError(
            f"{file} of {size} bytes must have at most {most} points", received=max(counts)
        )
