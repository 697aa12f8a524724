"""Whatever is wrong with a dataset is told in one clear error, before it does harm."""

import json
import shutil

import numpy as np
import pytest
import torch
import zarr

from mfpolicy.data.dataset import WindowDataset
from mfpolicy.data.normalizer import Normalizer
from mfpolicy.data.store import DatasetWriter, open_dataset
from mfpolicy.errors import DataError


def _windows(path, **options):
    options = {"n_obs_steps": 2, "horizon": 4, "n_action_steps": 3, **options}
    return WindowDataset(open_dataset(path), **options)


def _refused(path, told):
    with pytest.raises(DataError, match=told) as caught:
        open_dataset(path)
    assert str(path) in str(caught.value)


def _edit_json(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def _edit_attributes(path, **values):
    _edit_json(path / "zarr.json", lambda content: content["attributes"].update(values))


def _rewrite(path, name, values, **options):
    """Replaces an array by other values, as a faulty program would."""
    shutil.rmtree(path / name)
    options = {"chunks": tuple(min(100, n) for n in values.shape), "zarr_format": 3, **options}
    array = zarr.create_array(
        str(path), name=name, shape=values.shape, dtype=values.dtype,
        config={"write_empty_chunks": True}, **options,
    )  # fmt: skip
    array[...] = values


def test_missing_path(tmp_path):
    _refused(tmp_path / "nothing.zarr", "must exist")


@pytest.mark.parametrize("content", [None, "text", "{}"])
def test_something_else_than_a_dataset(tmp_path, content):
    path = tmp_path / "other"
    if content is None:
        path.mkdir()
    else:
        path.write_text(content)
    _refused(path, "zarr group")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"zarr_format": 7}', "[" * 100_000, '{"attributes": 3}', "\x00"]
)
def test_broken_root_metadata(write_dataset, text):
    path = write_dataset(5)
    (path / "zarr.json").write_text(text)
    _refused(path, "zarr.json")


def test_empty_dataset(tmp_path, spec):
    with DatasetWriter.open(tmp_path / "empty.zarr", spec):
        pass
    _refused(tmp_path / "empty.zarr", "at least one finished episode")


@pytest.mark.parametrize("name", ["data/point_cloud", "data/state", "meta/episode_ends"])
def test_missing_array(write_dataset, name):
    path = write_dataset(5)
    shutil.rmtree(path / name)
    _refused(path, name)


@pytest.mark.parametrize("name", ["point_cloud", "color", "state", "action", "full_state"])
def test_array_shorter_than_the_others(write_dataset, name):
    path = write_dataset(150)
    dataset = open_dataset(path)
    values = dataset.array(name)[:140]
    _rewrite(path, f"data/{name}", values)
    _refused(path, f"'data/{name}' has 140 steps")


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ([20, 20, 60], "episode 1 ends at step 20 after 20"),
        ([30, 20, 60], "episode 1 ends at step 20 after 30"),
        ([0, 20, 60], "episode 0 ends at step 0 after 0"),
        ([-5, 20, 60], "episode 0 ends at step -5"),
        ([20, 50, 61], "beyond"),
        ([20, 50, 59], "before"),
    ],
)
def test_episode_ends_that_cannot_be(write_dataset, ends, told):
    path = write_dataset(20, 30, 10)
    _rewrite(path, "meta/episode_ends", np.array(ends))
    _refused(path, told)


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("data/state", np.zeros((20, 3, 1), np.float32), r"must have shape \(N, S\)"),
        ("data/state", np.zeros((20, 3), np.int32), "must be float32.*int32"),
        ("data/action", np.zeros(20, np.float32), r"must have shape \(N, A\)"),
        ("data/point_cloud", np.zeros((20, 12, 4), np.float32), r"must have shape \(N, P, 3\)"),
        ("data/point_cloud", np.zeros((20, 12), np.float32), r"must have shape \(N, P, 3\)"),
        ("data/action", np.zeros((20, 7), np.float32), "says action_dim 2, but stores 7"),
        ("meta/episode_ends", np.array([20.0]), "one-dimensional int64"),
        ("meta/episode_ends", np.array([[20]]), "one-dimensional int64"),
        ("meta/episode_ends", np.zeros(0, np.int64), "one entry an episode"),
    ],
)
def test_wrong_dimensions_or_types(write_dataset, name, values, told):
    path = write_dataset(20)
    chunks = tuple(max(1, min(100, n)) for n in values.shape)
    _rewrite(path, name, values, chunks=chunks)
    _refused(path, told)


@pytest.mark.parametrize("version", [2, 99, "1", None])
def test_newer_or_unknown_schema_version(write_dataset, version):
    path = write_dataset(5)
    _edit_attributes(path, schema_version=version)
    _refused(path, "upgrade mfpolicy")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"episodes": -1}, "must be counts"),
        ({"episodes": "two"}, "must be counts"),
        ({"episodes": 7}, "one entry an episode"),
        ({"episodes": 10**15}, "one entry an episode"),
        ({"steps": 10**15}, "has 5 steps"),
        ({"steps": 4}, "episode_ends must end with the data"),
        ({"steps": 1.5}, "must be counts"),
        ({"journal": [1]}, "journal"),
        ({"recipe": {"camera": "top"}}, "recipe needs the keys"),
        ({"recipe": 3}, "'recipe' of a dataset has the wrong type"),
        ({"task": 3}, "'task' of a dataset has the wrong type"),
        ({"camera": "front"}, "'camera' of a dataset has the wrong type"),
        ({"extra": []}, "'extra' of a dataset has the wrong type"),
        ({"points": 13}, "recipe says 12"),
        ({"points": 13, "recipe": None}, "says points 13, but stores 12"),
        ({"points": "x"}, "points of a dataset must be an integer"),
    ],
)
def test_attributes_that_cannot_be(write_dataset, values, told):
    path = write_dataset(5)
    _edit_attributes(path, **values)
    _refused(path, told)


def _huge_chunks(metadata):
    metadata["chunk_grid"]["configuration"]["chunk_shape"] = [10**12, 12, 3]


@pytest.mark.parametrize(
    ("change", "steps", "told"),
    [
        (lambda m: m.update(shape=[10**13, 12, 3]), 10**13, "'data/action' has 50 steps"),
        (lambda m: m.update(shape=[10**13, 12, 3]), 50, None),  # leftovers are not read
        (_huge_chunks, 50, "impossible size"),
        (lambda m: m.update(shape=[50, 2**21, 3]), 50, "at most 1048576"),
        (lambda m: m.update(shape=[50, 10**9, 3]), 50, "impossible size"),
        (lambda m: m.update(shape=[50, 10**6, 3]), 50, "missing"),
        (lambda m: m.update(shape=[50, 0, 3]), 50, "impossible size"),
        (lambda m: m.update(shape=[-1, 12, 3]), 50, "metadata that cannot be read"),
        (lambda m: m.update(shape="many"), 50, "metadata that cannot be read"),
        (lambda m: m.update(data_type="int32", fill_value=0), 50, "must be float32"),
        (lambda m: m.update(data_type="complex128"), 50, "must be float32|cannot be read"),
        (lambda m: m.update(data_type={"name": 5}), 50, "metadata that cannot be read"),
        (lambda m: m.pop("chunk_grid"), 50, "metadata that cannot be read"),
        (lambda m: m.update(codecs=7), 50, "metadata that cannot be read"),
        (lambda m: m.update(codecs=[]), 50, "metadata that cannot be read"),
    ],
)
def test_hostile_metadata_is_refused_without_allocating(write_dataset, change, steps, told):
    path = write_dataset(50)
    _edit_attributes(path, steps=steps)
    _edit_json(path / "data/point_cloud/zarr.json", change)
    if told is None:
        assert len(_windows(path)) == steps
    else:
        _refused(path, told)


def test_every_array_declared_absurdly_long_is_refused_at_the_first_missing_chunk(write_dataset):
    path = write_dataset(50)
    steps = 10**13
    _edit_attributes(path, steps=steps)
    for file in (path / "data").glob("*/zarr.json"):
        _edit_json(file, lambda m: m.update(shape=[steps, *m["shape"][1:]]))
    _refused(path, "chunk 1 .steps 100 to 199.*missing")


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
@pytest.mark.parametrize("name", ["point_cloud", "state"])
def test_truncated_chunk_is_named_with_its_steps(write_dataset, name, keep):
    path = write_dataset(120, 130)
    chunk = next((path / "data" / name / "c" / "1").rglob("0"))
    while chunk.is_dir():
        chunk = chunk / "0"
    content = chunk.read_bytes()
    chunk.write_bytes(content[: int(keep if keep > 1 else keep * len(content))])
    _refused(path, f"'data/{name}'.*chunk 1 .steps 100 to 199")


def test_missing_chunk_is_named_with_its_steps(write_dataset):
    path = write_dataset(250)
    shutil.rmtree(path / "data/action/c/2")
    _refused(path, "'data/action'.*chunk 2 .steps 200 to 249.*missing")


@pytest.mark.parametrize("name", ["point_cloud", "state", "action"])
@pytest.mark.parametrize("budget", [4 << 30, 30_000])
def test_flipped_bit_is_found_when_the_chunk_is_read(write_dataset, name, budget):
    path = write_dataset(120, 130)
    chunk = path / "data" / name / "c" / "1" / "0"
    chunk = chunk / "0" if chunk.is_dir() else chunk
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(bytes(content))
    with pytest.raises(DataError, match=f"'data/{name}'.*chunk 1 .steps 100 to 199"):
        Normalizer.fit(_windows(path, memory_budget_bytes=budget))
    assert open_dataset(path).episode_count == 2


def _damage(file, random):
    """Flips a bit, cuts the file short, or overwrites a few bytes."""
    content = bytearray(file.read_bytes())
    at, kind = int(random.integers(len(content))), random.integers(3)
    if kind == 0:
        content[at] ^= 1 << int(random.integers(8))
    elif kind == 1:
        del content[at:]
    else:
        content[at : at + 4] = random.bytes(4)
    file.write_bytes(bytes(content))


def test_random_damage_anywhere_is_refused_or_changes_no_step(write_dataset):
    path = write_dataset(80, 90)
    pristine = _windows(path).batch(torch.arange(170))
    files = sorted(file for file in path.rglob("*") if file.is_file())
    random, refused = np.random.default_rng(0), 0
    for trial in range(240):
        file = files[trial % len(files)]
        content = file.read_bytes()
        _damage(file, random)
        try:
            batch = _windows(path).batch(torch.arange(170))
        except DataError:
            refused += 1
        else:
            for name in ("point_cloud", "agent_pos", "action", "episode", "step"):
                assert torch.equal(getattr(batch, name), getattr(pristine, name)), file
        file.write_bytes(content)
    assert refused > 100


def test_damage_in_the_episode_ends_is_named(write_dataset):
    path = write_dataset(5, 6)
    chunk = path / "meta/episode_ends/c/0"
    content = bytearray(chunk.read_bytes())
    content[-6] ^= 255
    chunk.write_bytes(bytes(content))
    _refused(path, "'meta/episode_ends'.*chunk 0")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["point_cloud", "state", "action"])
@pytest.mark.parametrize("budget", [4 << 30, 30_000])
def test_nan_and_infinity_are_named_with_episode_and_step(write_dataset, name, value, budget):
    path = write_dataset(120, 130)
    array = zarr.open_array(str(path), path=f"data/{name}", mode="r+")
    array[120 + 37, ..., 0] = value
    dataset = open_dataset(path)  # values are no matter of structure
    assert dataset.step_count == 250
    with pytest.raises(DataError, match=f"'data/{name}'.*episode 1 at step 37"):
        Normalizer.fit(_windows(path, memory_budget_bytes=budget))
    assert len(_windows(path, episodes=[0])) == 120  # the remedy works


def test_state_beyond_float32_counts_as_infinite(write_dataset):
    path = write_dataset(20)
    values = open_dataset(path).array("state")[:].astype(np.float64)
    values[4, 2] = 1e300
    _rewrite(path, "data/state", values)
    with pytest.raises(DataError, match="'data/state'.*episode 0 at step 4"):
        _windows(path)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_codec_that_could_run_code_is_refused_unread(write_dataset, zarr_format):
    path = write_dataset(5)
    if zarr_format == 3:
        harm = {"name": "numcodecs.pickle", "configuration": {}}
        _edit_json(path / "data/state/zarr.json", lambda m: m["codecs"].append(harm))
    else:
        shutil.rmtree(path)
        group = zarr.create_group(str(path), zarr_format=2)
        for name, shape in [("point_cloud", (5, 4, 3)), ("state", (5, 2)), ("action", (5, 2))]:
            group.create_array(f"data/{name}", shape=shape, dtype="f4")[...] = 1
        group.create_array("meta/episode_ends", shape=(1,), dtype="i8")[...] = 5
        assert open_dataset(path).step_count == 5
        _edit_json(path / "data/state/.zarray", lambda m: m.update(filters=[{"id": "pickle"}]))
    _refused(path, "codec.*pickle")


def test_episode_or_array_that_does_not_exist(write_dataset):
    dataset = open_dataset(write_dataset(5, 6))
    for index in (-1, 2):
        with pytest.raises(DataError, match="episodes 0 to 1"):
            dataset.episode(index)
    with pytest.raises(DataError, match="no array 'data/depth'.*point_cloud"):
        dataset.array("depth")
