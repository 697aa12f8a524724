"""Damage to values: numbers, time, clouds, frames, colors, images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.data.damage import add_array, array_of, change_values, damage, starts


@damage("NaN in a state", "nan", "data/state", 1, 7)
def _nan_state(path: Path) -> None:
    array_of(path, "data/state")[starts(path)[1] + 7, 1] = np.nan


@damage("NaN in a cloud", "nan", "data/point_cloud", 2, 3)
def _nan_cloud(path: Path) -> None:
    array_of(path, "data/point_cloud")[starts(path)[2] + 3, 5, 2] = np.nan


@damage("infinity in an action", "infinite", "data/action", 0, 11)
def _infinite(path: Path) -> None:
    array_of(path, "data/action")[11, 0] = -np.inf


@damage("memory that was never written", "magnitude", "data/state", 1, 9)
def _magnitude(path: Path) -> None:
    array_of(path, "data/state")[starts(path)[1] + 9, 0] = 3e30


@damage("a sensor that was never read", "state-constant", "data/state")
def _constant(path: Path) -> None:
    array_of(path, "data/state")[:, 0] = 0.25


@damage("commands that were never recorded", "action-all-constant", "data/action")
def _no_actions(path: Path) -> None:
    change_values(path, "data/action", lambda values: np.full_like(values, 0.5))


@damage("a sensor that fails for an episode", "channel-frozen", "data/state", 1, 0)
def _frozen(path: Path) -> None:
    first, stop = starts(path)[1:3]
    array = array_of(path, "data/state")
    array[first:stop, 1] = array[first, 1]


@damage("a sensor beyond its range", "state-saturated", "data/state")
def _saturated(path: Path) -> None:
    def clip(values: np.ndarray) -> None:
        values[:, 0] = np.minimum(values[:, 0], np.quantile(values[:, 0], 0.6))

    change_values(path, "data/state", clip)


@damage("commands clipped to a small range", "action-saturated", "data/action")
def _clipped(path: Path) -> None:
    def clip(values: np.ndarray) -> None:
        wave = np.sin(np.arange(len(values)) / 3)
        values[:, 0] = np.clip(wave, -0.05, 0.05)

    change_values(path, "data/action", clip)


# Motion and time.


@damage("a state that jumps and returns", "state-jump", "data/state", 1, 10)
def _spike(path: Path) -> None:
    array, row = array_of(path, "data/state"), starts(path)[1] + 10
    array[row] = array[row] + 1.0


@damage("a state that jumps and stays", "state-jump", "data/state", 2, 12)
def _step(path: Path) -> None:
    first, stop = starts(path)[2:4]
    array = array_of(path, "data/state")
    array[first + 12 : stop, 0] = array[first + 12 : stop, 0] + 1.0


@damage("an angle that wraps round", "angle-wrap", "data/state", 0, 15)
def _wrap(path: Path) -> None:
    array, stop = array_of(path, "data/state"), starts(path)[1]
    array[15:stop, 0] = array[15:stop, 0] - 2 * np.pi


@damage("one command out of all proportion", "action-spike", "data/action", 1, 6)
def _command(path: Path) -> None:
    array_of(path, "data/action")[starts(path)[1] + 6, 0] = 40.0


@damage("an episode end that is late", "end-misplaced", "data/state", 0, None)
def _late_end(path: Path) -> None:
    _move_end(path, 9)


@damage("an episode end that is early", "end-misplaced", "data/state", 1, None)
def _early_end(path: Path) -> None:
    _move_end(path, -9)


def _move_end(path: Path, by: int) -> None:
    ends = array_of(path, "meta/episode_ends")
    ends[0] = ends[0] + by
    array_of(path, "meta/episode_length")[:] = np.diff(ends[:], prepend=0)


def _stamps(path: Path) -> np.ndarray:
    rate = json.loads((path / "zarr.json").read_text())["attributes"]["control_rate_hz"]
    return np.arange(starts(path)[-1]) / rate


@damage("steps that were lost", "time-gap", "data/timestamp", 1, 8)
def _gap(path: Path) -> None:
    stamps, first = _stamps(path), starts(path)[1]
    stamps[first + 8 :] += 1.0
    add_array(path, "timestamp", stamps)


@damage("steps in the wrong order", "time-backwards", "data/timestamp_ns", 0, 6)
def _backwards(path: Path) -> None:
    stamps = (_stamps(path) * 1e9).astype(np.int64)
    stamps[[5, 6]] = stamps[[6, 5]]
    add_array(path, "timestamp_ns", stamps)


@damage("stamps of another rate", "rate-mismatch", "data/timestamp")
def _rate(path: Path) -> None:
    add_array(path, "timestamp", 1.5 * _stamps(path))


# Clouds, colors and images.


@damage("a cloud of zeros", "cloud-empty", "data/point_cloud", 1, 4)
def _empty(path: Path) -> None:
    row = starts(path)[1] + 4
    cloud = array_of(path, "data/point_cloud")
    cloud[row] = np.broadcast_to(cloud[row, :1], cloud.shape[1:])


@damage("a cloud of few points, repeated", "cloud-few-points", "data/point_cloud", 2, 5)
def _few(path: Path) -> None:
    row = starts(path)[2] + 5
    cloud = array_of(path, "data/point_cloud")
    cloud[row] = np.resize(cloud[row, :2], cloud.shape[1:])


@damage("points outside the crop box", "cloud-outside-crop", "data/point_cloud", 1, 2)
def _outside(path: Path) -> None:
    row = starts(path)[1] + 2
    array_of(path, "data/point_cloud")[row, 7, 2] = 9.0e3 / 1e3


@damage("points in millimetres", "cloud-scale", "data/point_cloud", 0, 0)
def _millimetres(path: Path) -> None:
    change_values(path, "data/point_cloud", lambda values: 1000 * values)


@damage("one episode in millimetres", "cloud-scale", "data/point_cloud", 1, 0)
def _one_in_millimetres(path: Path) -> None:
    first, stop = starts(path)[1:3]
    cloud = array_of(path, "data/point_cloud")
    cloud[first:stop] = 1000 * cloud[first:stop]


@damage("y up instead of z", "cloud-frame", "data/point_cloud", 0, 0)
def _y_up(path: Path) -> None:
    change_values(
        path,
        "data/point_cloud",
        lambda v: np.stack([v[..., 0], v[..., 2], -v[..., 1]], axis=-1),
    )


@damage("points in the camera's frame", "cloud-frame", "data/point_cloud", 0, 0)
def _camera_frame(path: Path) -> None:
    attributes = json.loads((path / "zarr.json").read_text())["attributes"]
    pose = np.array(attributes["camera"]["T_world_cam"])
    change_values(path, "data/point_cloud", lambda v: (v - pose[:3, 3]) @ pose[:3, :3])


@damage("a camera that stalls", "image-stale", "data/point_cloud", 1, 4)
def _stale(path: Path) -> None:
    row = starts(path)[1] + 3
    cloud = array_of(path, "data/point_cloud")
    cloud[row + 1 : row + 11] = np.broadcast_to(cloud[row], (10, *cloud.shape[1:]))


@damage("colors that are black", "color-blank", "data/color", 2, 1)
def _black(path: Path) -> None:
    array_of(path, "data/color")[starts(path)[2] + 1] = 0


@damage("colors from 0 to 1", "color-range", "data/color")
def _unit_colors(path: Path) -> None:
    change_values(path, "data/color", lambda values: values > 127)


@damage("an image without content", "image-blank", "data/rgb", 0, 3)
def _blank(path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (starts(path)[-1], 8, 8, 3)).astype(np.uint8)
    images[3] = 0
    add_array(path, "rgb", images)


@damage("depth in millimetres", "depth-scale", "data/depth")
def _depth(path: Path) -> None:
    rng = np.random.default_rng(0)
    depth = rng.uniform(300, 900, (starts(path)[-1], 8, 8)).astype(np.float32)
    add_array(path, "depth", depth)
