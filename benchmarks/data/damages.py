"""Kinds of damage to a dataset, each done to a copy on the disk, with what a check must say of it.

Damage to values goes through zarr, as a faulty program would do it; damage to files is done to
bytes. The dataset must have three episodes or more of at least twenty steps, colors, a recipe, and
a camera.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr


@dataclasses.dataclass(frozen=True)
class Damage:
    """One kind of damage.

    Attributes:
        name: in words. code: the finding it must lead to, and no other.
        array: path that must be named. episode, step: place that must be named; None for any.
        do: what is done to the dataset at a path.
        readable: whether the normal reader still opens the dataset.
    """

    name: str
    code: str
    array: str | None
    episode: int | None
    step: int | None
    do: Callable[[Path], None]
    readable: bool = True


DAMAGES: list[Damage] = []


def _damage(
    name: str,
    code: str,
    array: str | None = None,
    episode: int | None = None,
    step: int | None = None,
    *,
    readable: bool = True,
) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    def add(do: Callable[[Path], None]) -> Callable[[Path], None]:
        DAMAGES.append(Damage(name, code, array, episode, step, do, readable))
        return do

    return add


def starts(path: Path) -> list[int]:
    """The first row of each episode, and the end of the last."""
    return [0, *zarr.open_array(str(path), path="meta/episode_ends", mode="r")[:].tolist()]


def _array(path: Path, name: str) -> Any:
    return zarr.open_array(str(path), path=name, mode="r+")


def _change(path: Path, name: str, change: Callable[[np.ndarray], Any]) -> None:
    """Changes all committed rows of an array in memory and writes them back."""
    array = _array(path, name)
    values = array[:]
    changed = change(values)
    array[:] = values if changed is None else changed


def _edit(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def _attributes(path: Path, **values: Any) -> None:
    _edit(path / "zarr.json", lambda content: content["attributes"].update(values))


def _add(path: Path, name: str, values: np.ndarray) -> None:
    array = zarr.create_array(
        str(path), name=f"data/{name}", shape=values.shape, dtype=values.dtype,
        chunks=(100, *values.shape[1:]), config={"write_empty_chunks": True},
    )  # fmt: skip
    array[:] = values


def _chunk(path: Path, name: str, index: int = 1) -> Path:
    """The file of a chunk; the second one holds steps 100 to 199."""
    folder = path / name / "c" / str(index)
    while folder.is_dir():
        folder = folder / "0"
    return folder


# Values.


@_damage("NaN in a state", "nan", "data/state", 1, 7)
def _nan_state(path: Path) -> None:
    _array(path, "data/state")[starts(path)[1] + 7, 1] = np.nan


@_damage("NaN in a cloud", "nan", "data/point_cloud", 2, 3)
def _nan_cloud(path: Path) -> None:
    _array(path, "data/point_cloud")[starts(path)[2] + 3, 5, 2] = np.nan


@_damage("infinity in an action", "infinite", "data/action", 0, 11)
def _infinite(path: Path) -> None:
    _array(path, "data/action")[11, 0] = -np.inf


@_damage("memory that was never written", "magnitude", "data/state", 1, 9)
def _magnitude(path: Path) -> None:
    _array(path, "data/state")[starts(path)[1] + 9, 0] = 3e30


@_damage("a sensor that was never read", "state-constant", "data/state")
def _constant(path: Path) -> None:
    _array(path, "data/state")[:, 0] = 0.25


@_damage("commands that were never recorded", "action-all-constant", "data/action")
def _no_actions(path: Path) -> None:
    _change(path, "data/action", lambda values: np.full_like(values, 0.5))


@_damage("a sensor that fails for an episode", "channel-frozen", "data/state", 1, 0)
def _frozen(path: Path) -> None:
    first, stop = starts(path)[1:3]
    array = _array(path, "data/state")
    array[first:stop, 1] = array[first, 1]


@_damage("a sensor beyond its range", "state-saturated", "data/state")
def _saturated(path: Path) -> None:
    def clip(values: np.ndarray) -> None:
        values[:, 0] = np.minimum(values[:, 0], np.quantile(values[:, 0], 0.6))

    _change(path, "data/state", clip)


@_damage("commands clipped to a small range", "action-saturated", "data/action")
def _clipped(path: Path) -> None:
    def clip(values: np.ndarray) -> None:
        wave = np.sin(np.arange(len(values)) / 3)
        values[:, 0] = np.clip(wave, -0.05, 0.05)

    _change(path, "data/action", clip)


# Motion and time.


@_damage("a state that jumps and returns", "state-jump", "data/state", 1, 10)
def _spike(path: Path) -> None:
    array, row = _array(path, "data/state"), starts(path)[1] + 10
    array[row] = array[row] + 1.0


@_damage("a state that jumps and stays", "state-jump", "data/state", 2, 12)
def _step(path: Path) -> None:
    first, stop = starts(path)[2:4]
    array = _array(path, "data/state")
    array[first + 12 : stop, 0] = array[first + 12 : stop, 0] + 1.0


@_damage("an angle that wraps round", "angle-wrap", "data/state", 0, 15)
def _wrap(path: Path) -> None:
    array, stop = _array(path, "data/state"), starts(path)[1]
    array[15:stop, 0] = array[15:stop, 0] - 2 * np.pi


@_damage("one command out of all proportion", "action-spike", "data/action", 1, 6)
def _command(path: Path) -> None:
    _array(path, "data/action")[starts(path)[1] + 6, 0] = 40.0


@_damage("an episode end that is late", "end-misplaced", "data/state", 0, None)
def _late_end(path: Path) -> None:
    _move_end(path, 9)


@_damage("an episode end that is early", "end-misplaced", "data/state", 1, None)
def _early_end(path: Path) -> None:
    _move_end(path, -9)


def _move_end(path: Path, by: int) -> None:
    ends = _array(path, "meta/episode_ends")
    ends[0] = ends[0] + by
    _array(path, "meta/episode_length")[:] = np.diff(ends[:], prepend=0)


def _stamps(path: Path) -> np.ndarray:
    rate = json.loads((path / "zarr.json").read_text())["attributes"]["control_rate_hz"]
    return np.arange(starts(path)[-1]) / rate


@_damage("steps that were lost", "time-gap", "data/timestamp", 1, 8)
def _gap(path: Path) -> None:
    stamps, first = _stamps(path), starts(path)[1]
    stamps[first + 8 :] += 1.0
    _add(path, "timestamp", stamps)


@_damage("steps in the wrong order", "time-backwards", "data/timestamp_ns", 0, 6)
def _backwards(path: Path) -> None:
    stamps = (_stamps(path) * 1e9).astype(np.int64)
    stamps[[5, 6]] = stamps[[6, 5]]
    _add(path, "timestamp_ns", stamps)


@_damage("stamps of another rate", "rate-mismatch", "data/timestamp")
def _rate(path: Path) -> None:
    _add(path, "timestamp", 1.5 * _stamps(path))


# Clouds, colors and images.


@_damage("a cloud of zeros", "cloud-empty", "data/point_cloud", 1, 4)
def _empty(path: Path) -> None:
    row = starts(path)[1] + 4
    cloud = _array(path, "data/point_cloud")
    cloud[row] = np.broadcast_to(cloud[row, :1], cloud.shape[1:])


@_damage("a cloud of few points, repeated", "cloud-few-points", "data/point_cloud", 2, 5)
def _few(path: Path) -> None:
    row = starts(path)[2] + 5
    cloud = _array(path, "data/point_cloud")
    cloud[row] = np.resize(cloud[row, :2], cloud.shape[1:])


@_damage("points outside the crop box", "cloud-outside-crop", "data/point_cloud", 1, 2)
def _outside(path: Path) -> None:
    row = starts(path)[1] + 2
    _array(path, "data/point_cloud")[row, 7, 2] = 9.0e3 / 1e3


@_damage("points in millimetres", "cloud-scale", "data/point_cloud", 0, 0)
def _millimetres(path: Path) -> None:
    _change(path, "data/point_cloud", lambda values: 1000 * values)


@_damage("one episode in millimetres", "cloud-scale", "data/point_cloud", 1, 0)
def _one_in_millimetres(path: Path) -> None:
    first, stop = starts(path)[1:3]
    cloud = _array(path, "data/point_cloud")
    cloud[first:stop] = 1000 * cloud[first:stop]


@_damage("y up instead of z", "cloud-frame", "data/point_cloud", 0, 0)
def _y_up(path: Path) -> None:
    _change(
        path,
        "data/point_cloud",
        lambda v: np.stack([v[..., 0], v[..., 2], -v[..., 1]], axis=-1),
    )


@_damage("points in the camera's frame", "cloud-frame", "data/point_cloud", 0, 0)
def _camera_frame(path: Path) -> None:
    attributes = json.loads((path / "zarr.json").read_text())["attributes"]
    pose = np.array(attributes["camera"]["T_world_cam"])
    _change(path, "data/point_cloud", lambda v: (v - pose[:3, 3]) @ pose[:3, :3])


@_damage("a camera that stalls", "image-stale", "data/point_cloud", 1, 4)
def _stale(path: Path) -> None:
    row = starts(path)[1] + 3
    cloud = _array(path, "data/point_cloud")
    cloud[row + 1 : row + 11] = np.broadcast_to(cloud[row], (10, *cloud.shape[1:]))


@_damage("colors that are black", "color-blank", "data/color", 2, 1)
def _black(path: Path) -> None:
    _array(path, "data/color")[starts(path)[2] + 1] = 0


@_damage("colors from 0 to 1", "color-range", "data/color")
def _unit_colors(path: Path) -> None:
    _change(path, "data/color", lambda values: values > 127)


@_damage("an image without content", "image-blank", "data/rgb", 0, 3)
def _blank(path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (starts(path)[-1], 8, 8, 3)).astype(np.uint8)
    images[3] = 0
    _add(path, "rgb", images)


@_damage("depth in millimetres", "depth-scale", "data/depth")
def _depth(path: Path) -> None:
    rng = np.random.default_rng(0)
    depth = rng.uniform(300, 900, (starts(path)[-1], 8, 8)).astype(np.float32)
    _add(path, "depth", depth)


# Duplicates.


def _data(path: Path) -> list[str]:
    return sorted(f"data/{file.parent.name}" for file in (path / "data").glob("*/zarr.json"))


@_damage("an episode stored twice", "episode-repeated", None, 2, 0)
def _twice(path: Path) -> None:
    """The third episode becomes a copy of the first, with a seed of its own."""
    _, one, two, end = starts(path)[:4]
    length = min(one, end - two)
    for name in _data(path):
        array = _array(path, name)
        array[two : two + length] = array[:length]
        array.resize((two + length, *array.shape[1:]))
    ends = _array(path, "meta/episode_ends")
    ends[0], ends[1], ends[2] = length, two, two + length
    if length < one:  # the first is cut to be as long as its copy
        for name in _data(path):
            array = _array(path, name)
            values = np.concatenate([array[:length], array[one:]])
            array.resize(values.shape)
            array[:] = values
        ends[1], ends[2] = two - one + length, two - one + 2 * length
    for name in ("episode_ends", "episode_length", "episode_seed", "episode_success"):
        meta = _array(path, f"meta/{name}")
        meta.resize((3,))
    _array(path, "meta/episode_length")[:] = np.diff(ends[:3], prepend=0)
    _attributes(path, episodes=3, steps=int(ends[2]))


@_damage("a recording that stalls", "frames-repeated", None, 1, 5)
def _stalled(path: Path) -> None:
    row = starts(path)[1] + 4
    for name in _data(path):
        array = _array(path, name)
        array[row + 1 : row + 9] = np.broadcast_to(array[row], (8, *array.shape[1:]))


@_damage("a part written twice", "frames-copied", None, 0, 8)
def _copied(path: Path) -> None:
    for name in _data(path):
        array = _array(path, name)
        array[8:14] = array[2:8]


@_damage("an episode of two steps", "episode-short", None, 0, None)
def _short(path: Path) -> None:
    ends = starts(path)[1:]
    for name, dtype in (("ends", "i8"), ("seed", "i8"), ("success", "bool"), ("length", "i8")):
        array = _array(path, f"meta/episode_{name}")
        values = array[:]
        first = {"ends": 2, "seed": 10**6, "success": True, "length": 2}[name]
        array.resize((len(values) + 1,))
        array[:] = np.concatenate([[first], values]).astype(dtype)
    _array(path, "meta/episode_length")[:] = np.diff([0, 2, *ends])
    _attributes(path, episodes=len(ends) + 1)


@_damage("two episodes of one seed", "seed-repeated", "meta/episode_seed", 1, None)
def _seed(path: Path) -> None:
    seeds = _array(path, "meta/episode_seed")
    seeds[1] = seeds[0]


# Episodes.


@_damage("ends out of order", "ends-not-increasing", "meta/episode_ends", 1, None, readable=False)
def _order(path: Path) -> None:
    ends = _array(path, "meta/episode_ends")
    ends[1] = ends[0]


@_damage("an end behind the data", "ends-beyond-data", "meta/episode_ends", 2, None, readable=False)
def _beyond(path: Path) -> None:
    ends = _array(path, "meta/episode_ends")
    ends[2] = ends[2] + 13


@_damage("steps behind the last end", "ends-before-data", "meta/episode_ends", readable=False)
def _before(path: Path) -> None:
    _attributes(path, episodes=2)
    _attributes(path, steps=starts(path)[3])


@_damage("lengths that contradict the ends", "length-mismatch", "meta/episode_length", 1, None)
def _length(path: Path) -> None:
    _array(path, "meta/episode_length")[1] = 5


@_damage("no finished episode", "no-episodes", readable=False)
def _none(path: Path) -> None:
    _attributes(path, episodes=0, steps=0)


# Files.


@_damage("one byte flipped in a chunk", "chunk-corrupt", "data/state")
def _flip(path: Path) -> None:
    file = _chunk(path, "data/state")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(bytes(content))


@_damage("a chunk cut short", "chunk-truncated", "data/point_cloud", readable=False)
def _cut(path: Path) -> None:
    file = _chunk(path, "data/point_cloud")
    file.write_bytes(file.read_bytes()[:-100])


@_damage("a chunk of no bytes", "chunk-truncated", "data/action", readable=False)
def _nothing(path: Path) -> None:
    _chunk(path, "data/action").write_bytes(b"")


@_damage("a chunk that is lost", "chunk-missing", "data/color", readable=False)
def _lost(path: Path) -> None:
    _chunk(path, "data/color").unlink()


@_damage("a chunk that is a link", "link-or-device", "data/state", readable=False)
def _link(path: Path) -> None:
    file = _chunk(path, "data/state")
    outside = path.parent / "outside"
    shutil.move(file, outside)
    file.symlink_to(outside)


@_damage("an array that is lost", "array-missing", "data/action", readable=False)
def _no_array(path: Path) -> None:
    shutil.rmtree(path / "data/action")


@_damage("array metadata that is damaged", "array-unreadable", "data/color", readable=False)
def _metadata(path: Path) -> None:
    file = path / "data/color/zarr.json"
    file.write_text(file.read_text()[:-40])


@_damage("a codec that runs code", "array-unreadable", "data/state", readable=False)
def _codec(path: Path) -> None:
    harm = {"name": "numcodecs.pickle", "configuration": {}}
    _edit(path / "data/state/zarr.json", lambda metadata: metadata["codecs"].append(harm))


@_damage("an array of another shape", "array-shape", "data/point_cloud", readable=False)
def _shape(path: Path) -> None:
    values = _array(path, "data/point_cloud")[..., :2]
    shutil.rmtree(path / "data/point_cloud")
    _add(path, "point_cloud", values)


@_damage("an array that is shorter", "array-length", "data/full_state", readable=False)
def _shorter(path: Path) -> None:
    array = _array(path, "data/full_state")
    array.resize((array.shape[0] - 15, *array.shape[1:]))


@_damage("root metadata that is damaged", "root-unreadable", readable=False)
def _root(path: Path) -> None:
    file = path / "zarr.json"
    file.write_text(file.read_text()[:-40])


@_damage("a schema from the future", "schema-unknown", readable=False)
def _future(path: Path) -> None:
    _attributes(path, schema_version=99)


@_damage("attributes of the wrong type", "notes-wrong", readable=False)
def _notes(path: Path) -> None:
    _attributes(path, camera="front", control_rate_hz="fast")


@_damage("dimensions that are not stored", "dimension-mismatch", readable=False)
def _dimension(path: Path) -> None:
    _attributes(path, action_dim=17)


@_damage("episode ends that are lost", "meta-unreadable", "meta/episode_ends", readable=False)
def _no_ends(path: Path) -> None:
    shutil.rmtree(path / "meta/episode_ends")


@_damage("a name that no array may have", "layout-unsafe", readable=False)
def _name(path: Path) -> None:
    shutil.copytree(path / "data/state", path / "data/..state")
