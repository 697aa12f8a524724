"""Damage to files: chunks, links, metadata."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.data.damage import (
    add_array,
    array_of,
    chunk_file,
    damage,
    edit_json,
    set_attributes,
)


@damage("one byte flipped in a chunk", "chunk-corrupt", "data/state")
def _flip(path: Path) -> None:
    file = chunk_file(path, "data/state")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(bytes(content))


@damage("a chunk cut short", "chunk-truncated", "data/point_cloud", readable=False)
def _cut(path: Path) -> None:
    file = chunk_file(path, "data/point_cloud")
    file.write_bytes(file.read_bytes()[:-100])


@damage("a chunk of no bytes", "chunk-truncated", "data/action", readable=False)
def _nothing(path: Path) -> None:
    chunk_file(path, "data/action").write_bytes(b"")


@damage("a chunk that is lost", "chunk-missing", "data/color", readable=False)
def _lost(path: Path) -> None:
    chunk_file(path, "data/color").unlink()


@damage("a chunk that is a link", "link-or-device", "data/state", readable=False)
def _link(path: Path) -> None:
    file = chunk_file(path, "data/state")
    outside = path.parent / "outside"
    shutil.move(file, outside)
    file.symlink_to(outside)


@damage("an array that is lost", "array-missing", "data/action", readable=False)
def _no_array(path: Path) -> None:
    shutil.rmtree(path / "data/action")


@damage("array metadata that is damaged", "array-unreadable", "data/color", readable=False)
def _metadata(path: Path) -> None:
    file = path / "data/color/zarr.json"
    file.write_text(file.read_text()[:-40])


@damage("a codec that runs code", "array-unreadable", "data/state", readable=False)
def _codec(path: Path) -> None:
    harm = {"name": "numcodecs.pickle", "configuration": {}}
    edit_json(path / "data/state/zarr.json", lambda metadata: metadata["codecs"].append(harm))


@damage("an array of another shape", "array-shape", "data/point_cloud", readable=False)
def _shape(path: Path) -> None:
    values = array_of(path, "data/point_cloud")[..., :2]
    shutil.rmtree(path / "data/point_cloud")
    add_array(path, "point_cloud", values)


@damage("an array that is shorter", "array-length", "data/full_state", readable=False)
def _shorter(path: Path) -> None:
    array = array_of(path, "data/full_state")
    array.resize((array.shape[0] - 15, *array.shape[1:]))


@damage("root metadata that is damaged", "root-unreadable", readable=False)
def _root(path: Path) -> None:
    file = path / "zarr.json"
    file.write_text(file.read_text()[:-40])


@damage("a schema from the future", "schema-unknown", readable=False)
def _future(path: Path) -> None:
    set_attributes(path, schema_version=99)


@damage("attributes of the wrong type", "notes-wrong", readable=False)
def _notes(path: Path) -> None:
    set_attributes(path, camera="front", control_rate_hz="fast")


@damage("dimensions that are not stored", "dimension-mismatch", readable=False)
def _dimension(path: Path) -> None:
    set_attributes(path, action_dim=17)


@damage("episode ends that are lost", "meta-unreadable", "meta/episode_ends", readable=False)
def _no_ends(path: Path) -> None:
    shutil.rmtree(path / "meta/episode_ends")


@damage("a name that no array may have", "layout-unsafe", readable=False)
def _name(path: Path) -> None:
    shutil.copytree(path / "data/state", path / "data/..state")
