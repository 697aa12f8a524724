"""A dataset made to do harm is refused: nothing outside is read, nothing unbounded is taken."""

import contextlib
import gzip
import json
import os
import tracemalloc

import numpy as np
import pytest
import zarr
from numcodecs import LZ4, GZip, Zlib, Zstd

from mfpolicy.data.checking import check_dataset
from mfpolicy.data.codecs import size_fault, unsafe_codecs
from mfpolicy.data.store import DatasetWriter, open_dataset
from mfpolicy.errors import DataError

MEGABYTE = 1 << 20


def _edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def _attributes(path, **values):
    _edit(path / "zarr.json", lambda content: content["attributes"].update(values))


def _metadata(path, change, name="data/state"):
    _edit(path / name / "zarr.json", change)


def _move_out(path, relative):
    """Replaces a file or folder of the dataset by a link to where it lies now, outside."""
    outside = path.parent / "outside"
    (path / relative).rename(outside)
    (path / relative).symlink_to(outside)


def _pipe(path, relative):
    (path / relative).unlink()
    os.mkfifo(path / relative)


def _sparse(path, relative, size=1 << 40):
    with (path / relative).open("r+b") as file:
        file.truncate(size)


def _nest(depth):
    return json.loads("[" * depth + "]" * depth)


def _rename(path, name):
    (path / "data/full_state").rename(path / "data" / name)


HOSTILE = {
    "link to a metadata file": (lambda p: _move_out(p, "data/state/zarr.json"), "a link"),
    "link to the root metadata": (lambda p: _move_out(p, "zarr.json"), "a link"),
    "link to an array": (lambda p: _move_out(p, "data/state"), "a link"),
    "link to all arrays": (lambda p: _move_out(p, "data"), "a link"),
    "link to a folder of chunks": (lambda p: _move_out(p, "data/state/c"), "a link"),
    "link to a chunk": (lambda p: _move_out(p, "data/state/c/0/0"), "a link"),
    "link to the ends": (lambda p: _move_out(p, "meta/episode_ends/c/0"), "a link"),
    "dangling link": (lambda p: (p / "data/extra").symlink_to("/nowhere"), None),
    "pipe for a chunk": (lambda p: _pipe(p, "data/state/c/0/0"), "a pipe"),
    "pipe for metadata": (lambda p: _pipe(p, "data/state/zarr.json"), "a pipe"),
    "sparse chunk": (lambda p: _sparse(p, "data/state/c/0/0"), "bytes"),
    "sparse metadata": (lambda p: _sparse(p, "data/state/zarr.json"), "at most"),
    "sparse root": (lambda p: _sparse(p, "zarr.json"), "at most"),
    "deep attributes": (lambda p: _attributes(p, camera={"a": _nest(200)}), "deep"),
    "deep metadata": (lambda p: _metadata(p, lambda m: m.update(x=_nest(200))), "deep"),
    "a shape beyond an index": (
        lambda p: _metadata(p, lambda m: m.update(shape=[10**30, 3])),
        "impossible size",
    ),
    "ten thousand axes": (
        lambda p: _metadata(
            p,
            lambda m: m.update(
                shape=[5] * 10**4,
                chunk_grid={"name": "regular", "configuration": {"chunk_shape": [5] * 10**4}},
            ),
        ),
        "cannot be read: a list of 10000",
    ),
    "chunks of nothing": (
        lambda p: _metadata(
            p, lambda m: m["chunk_grid"]["configuration"].update(chunk_shape=[0, 3])
        ),
        "impossible size|cannot be read",
    ),
    "a chunk of 2 GB": (
        lambda p: _metadata(
            p, lambda m: m["chunk_grid"]["configuration"].update(chunk_shape=[1 << 28, 3])
        ),
        "impossible size",
    ),
    "objects": (lambda p: _metadata(p, lambda m: m.update(data_type="object")), "cannot be read"),
    "texts": (
        lambda p: _metadata(p, lambda m: m.update(data_type="string"), "data/full_state"),
        "cannot be read|numbers",
    ),
    "an unknown codec": (
        lambda p: _metadata(p, lambda m: m["codecs"].append({"name": "x" * 10**6})),
        "codec",
    ),
    "a codec of objects": (
        lambda p: _metadata(
            p,
            lambda m: m["codecs"].insert(
                0, {"name": "numcodecs.astype", "configuration": {"decode_dtype": "|O"}}
            ),
        ),
        "codec",
    ),
    "shards": (
        lambda p: _metadata(p, lambda m: m["codecs"].append({"name": "sharding_indexed"})),
        "codec",
    ),
    "compression within compression": (
        lambda p: _metadata(p, lambda m: m["codecs"].append({"name": "gzip"})),
        "compression within compression",
    ),
    "a separator that climbs": (
        lambda p: _metadata(
            p, lambda m: m["chunk_key_encoding"]["configuration"].update(separator="/../")
        ),
        "cannot be read",
    ),
    "an array named like a command to a terminal": (
        lambda p: _rename(p, "x\x1b]0;owned\x07"),
        r"identifier.*\\x1b",
    ),
    "an array with a long name": (lambda p: _rename(p, "x" * 200), "identifier"),
    "a rate that is none": (lambda p: _attributes(p, control_rate_hz=float("nan")), "rate"),
    "a rate beyond floats": (lambda p: _attributes(p, control_rate_hz=10**400), "rate"),
    "a version of a megabyte": (
        lambda p: _attributes(p, schema_version="x" * MEGABYTE),
        "upgrade",
    ),
    "a version that is none": (lambda p: _attributes(p, schema_version=True), "version"),
    "numbers beyond floats": (
        lambda p: _attributes(p, recipe={"camera": "x", "camera_position": [10**400] * 3}),
        "recipe|describe",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_dataset_is_refused_in_bounded_memory(write_dataset, case):
    path = write_dataset(60)
    harm, told = HOSTILE[case]
    harm(path)
    tracemalloc.start()
    try:
        if told is None:
            assert open_dataset(path).array_names == open_dataset(path).array_names
        else:
            with pytest.raises(DataError, match=told) as caught:
                open_dataset(path).episode(0)
            assert len(str(caught.value)) < 2000
            assert str(caught.value).replace("\n", " ").isprintable()
        with contextlib.suppress(DataError):
            report = check_dataset(path)
            found = {finding.code for finding in report.findings}
            assert (found == {"cloud-outside-crop"}) == (told is None)  # of any toy
            assert json.dumps(report.to_dict()).isascii()
        assert tracemalloc.get_traced_memory()[1] < 100 * MEGABYTE
    finally:
        tracemalloc.stop()


def test_ends_whose_differences_overflow_are_refused(write_dataset):
    path = write_dataset(20, 30, 10)
    zarr.open_array(str(path), path="meta/episode_ends", mode="r+")[...] = [2**63 - 1, -5, 60]
    with pytest.raises(DataError, match="episode 1 ends at step -5"):
        open_dataset(path)


def test_the_dataset_itself_may_be_reached_by_a_link(write_dataset):
    path = write_dataset(5)
    (path.parent / "link.zarr").symlink_to(path)
    assert open_dataset(path.parent / "link.zarr").step_count == 5


def test_a_writer_does_not_follow_a_link_that_the_reader_has_no_need_of(write_dataset, spec):
    path = write_dataset(60)
    outside = path.parent / "outside"
    outside.mkdir()
    (path / "data/state/c/7").symlink_to(outside)
    assert open_dataset(path).step_count == 60
    with pytest.raises(DataError, match="a link"):
        DatasetWriter.open(path, spec)
    assert list(outside.iterdir()) == []


def _format_2(path, **compressor):
    group = zarr.create_group(str(path), zarr_format=2)
    for name, shape in [("point_cloud", (5, 4, 3)), ("state", (5, 2)), ("action", (5, 2))]:
        group.create_array(f"data/{name}", shape=shape, dtype="f4", **compressor)[...] = 1
    group.create_array("meta/episode_ends", shape=(1,), dtype="i8")[...] = 5
    return path


@pytest.mark.parametrize("codec", [Zstd(), GZip(), Zlib(), LZ4()], ids=lambda c: c.codec_id)
def test_a_compression_bomb_is_refused_before_it_is_decoded(tmp_path, codec):
    path = _format_2(tmp_path / "bomb.zarr", compressors=codec)
    np.testing.assert_array_equal(open_dataset(path).episode(0).agent_pos, 1)
    (path / "data/state/0.0").write_bytes(codec.encode(bytes(24 * MEGABYTE)))
    tracemalloc.start()
    with pytest.raises(DataError, match="'data/state'.*chunk 0.*decodes to"):
        open_dataset(path).episode(0)
    assert tracemalloc.get_traced_memory()[1] < 12 * MEGABYTE
    tracemalloc.stop()


def test_the_attributes_of_an_array_of_format_2_are_bounded_too(tmp_path):
    path = _format_2(tmp_path / "old.zarr")
    (path / "data/state/.zattrs").write_text("[" * 10**5)
    with pytest.raises(DataError, match=r"state/\.zattrs"):
        open_dataset(path)


def test_an_array_of_billions_of_chunks_that_may_be_missing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("mfpolicy.data.stored_array.MAX_CHUNKS", 1000)
    path = _format_2(tmp_path / "old.zarr")
    (path / "data/state/0.0").unlink()
    _edit(path / "data/state/.zarray", lambda m: m.update(shape=[5, 1 << 16], chunks=[1, 1]))
    with pytest.raises(DataError, match="at most 1000 chunks"):
        open_dataset(path)


@pytest.mark.parametrize("missing", [True, False])
def test_arrays_that_hold_far_more_than_their_files_are_refused(tmp_path, monkeypatch, missing):
    monkeypatch.setattr("mfpolicy.data.stored_array._MUCH", MEGABYTE)
    path = tmp_path / "zeros.zarr"
    group = zarr.create_group(str(path), zarr_format=2)
    steps, options = 5000, {"chunks": (5000, 100), "config": {"write_empty_chunks": not missing}}
    for name, width in (("point_cloud", (4, 3)), ("state", (100,)), ("action", (2,))):
        kept = options if name == "state" else {"config": {"write_empty_chunks": True}}
        group.create_array(f"data/{name}", shape=(steps, *width), dtype="f4", **kept)[...] = 0
    group.create_array("meta/episode_ends", shape=(1,), dtype="i8")[...] = steps
    if missing:
        with pytest.raises(DataError, match="'data/state'.*at most 1000 times"):
            open_dataset(path)
    else:
        monkeypatch.setattr("mfpolicy.data.stored_array._MOST_RATIO", 100)
        with pytest.raises(DataError, match="at most 100 times"):
            open_dataset(path)
    assert not check_dataset(path).sound


def _frame(blocks, *, size=None):
    """A Zstandard frame of raw, run-length or (declared) compressed blocks."""
    descriptor, window = (0x00, b"\x70") if size is None else (0xC0, b"\x70")
    head = (0xFD2FB528).to_bytes(4, "little") + bytes([descriptor]) + window
    head += b"" if size is None else size.to_bytes(8, "little")
    for index, (kind, length, content) in enumerate(blocks):
        last = index == len(blocks) - 1
        head += ((length << 3) | (kind << 1) | last).to_bytes(3, "little") + content
    return head


@pytest.mark.parametrize(
    ("content", "bomb"),
    [
        (_frame([(0, 100, bytes(100))]), False),
        (_frame([(1, 1 << 17, b"\0")] * 10_000), True),  # 1.3 GB of one byte repeated
        (_frame([(2, 10, bytes(10))] * 10_000), True),
        (_frame([(0, 100, bytes(100))], size=1 << 40), True),
        (_frame([(0, 4, bytes(4))]) + _frame([(1, 1 << 17, b"\0")] * 100), True),
        (Zstd().encode(bytes(1000)), False),
        (b"no frame at all, so that the decoder refuses it", False),
    ],
)
def test_what_a_zstandard_frame_decodes_to_is_read_from_its_headers(tmp_path, content, bomb):
    file = tmp_path / "0"
    file.write_bytes(content)
    fault = size_fault(file, len(content), ("bytes", "zstd"), 1000, deep=False)
    assert ("decodes to" in fault) == bomb


@pytest.mark.parametrize("members", [1, 3])
def test_members_of_gzip_count_together(tmp_path, members):
    file = tmp_path / "0"
    content = gzip.compress(bytes(600)) * members
    file.write_bytes(content)
    fault = size_fault(file, len(content), ("gzip",), 1000, deep=True)
    assert bool(fault) == (members > 1)


@pytest.mark.parametrize(
    ("names", "safe"),
    [
        (["bytes", "blosc", "crc32c"], True),
        (["shuffle", "zlib"], True),
        (["zstd", "shuffle"], False),
        (["gzip", "gzip"], False),
        (["pickle"], False),
        (["vlen-utf8"], False),
        (["lzma"], False),
    ],
)
def test_chains_of_codecs(names, safe):
    assert (not unsafe_codecs([{"name": name} for name in names])) == safe
