"""A folder of PLY, PCD, NPZ or NPY files becomes a dataset; what declares too much is refused."""

import zipfile

import numpy as np
import open3d
import pytest
import yaml

from mfpolicy.cli import main
from mfpolicy.data import open_dataset
from mfpolicy.data.converting import Target, convert
from mfpolicy.data.converting.point_file import SUFFIXES, read_points
from mfpolicy.data.converting.point_files import FolderLayout
from mfpolicy.errors import DataError

LENGTHS, POINTS = (3, 11), 60


def _cloud(episode, step):
    drawn = np.random.default_rng([episode, step])
    return drawn.uniform(-1, 1, (POINTS, 3)), drawn.integers(0, 256, (POINTS, 3))


def _save(file, xyz, colors):
    if file.suffix in (".ply", ".pcd"):
        cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(xyz))
        cloud.colors = open3d.utility.Vector3dVector(colors / 255)
        assert open3d.io.write_point_cloud(str(file), cloud, compressed=file.suffix == ".pcd")
    elif file.suffix == ".npz":
        np.savez_compressed(file, points=xyz, colors=colors.astype(np.uint8))
    else:
        np.save(file, np.concatenate([xyz, colors], axis=1))


def _write(root, suffix=".npz", *, table=False):
    for episode, length in enumerate(LENGTHS):
        folder = root / f"take{episode * 8 + 2}"  # take2, take10: not in the order of the alphabet
        folder.mkdir(parents=True)
        for step in range(length):
            _save(folder / f"{step}{suffix}", *_cloud(episode, step))
        steps = np.arange(length)
        state, action = np.stack([steps, steps * 2.0], 1), -steps[:, None] / 10
        if table:
            rows = ["stamp_s,state_0,state_1,action_0"]
            rows += [f"{5 + s * 0.05},{s},{s * 2},{-s / 10}" for s in steps]
            text = "\n".join(rows) + "\n"
            (folder / "robot.csv").write_text(text, encoding="utf-8-sig")  # as spreadsheets write
        else:
            np.savez(folder / "robot.npz", state=state, action=action, stamps_s=5 + steps * 0.05,
                     success=episode == 1, force=steps[:, None] * np.ones((1, 6)))  # fmt: skip
    return root


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind_of_file_gives_the_same_clouds(suffix, tmp_path):
    xyz, colors = _cloud(1, 10)
    _save(tmp_path / f"a{suffix}", xyz, colors)
    found, seen = read_points(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(found, xyz, atol=1e-6)
    np.testing.assert_array_equal(seen, colors)


@pytest.mark.parametrize("table", [False, True])
def test_a_folder_becomes_a_dataset(table, tmp_path, capsys):
    root, out = _write(tmp_path / "recordings", table=table), tmp_path / "o.zarr"
    turn = [[0, -1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    layout = {"T_world": turn, "metres_per_unit": 0.5,
              "crop": {"minimum": [-5, -5, -0.4], "maximum": [5, 5, 0.4]}}  # fmt: skip
    (tmp_path / "l.yaml").write_text(yaml.safe_dump(layout))
    line = [str(root), f"out={out}", f"layout={tmp_path}/l.yaml", "points=16", "keep=all"]
    assert main(["data", "convert", *line]) == 0
    assert "folder" in capsys.readouterr().out
    found = open_dataset(out)
    assert (found.spec.control_rate_hz, found.spec.points) == (20, 16)
    assert found.episode_ends.tolist() == [3, 14]
    assert found.success.tolist() == ([True, True] if table else [False, True])
    episode = found.episode(1)
    np.testing.assert_array_equal(episode.agent_pos[10], [10, 20])  # 10 behind 9
    xyz, colors = _cloud(1, 10)
    world = np.stack([1 - xyz[:, 1] / 2, xyz[:, 0] / 2, xyz[:, 2] / 2], axis=1)
    kept = {tuple(np.float32(row)) for row in world[np.abs(world[:, 2]) < 0.4].round(5)}
    assert len({tuple(row) for row in episode.point_cloud[10].round(5)} & kept) == 16
    assert episode.color.dtype == np.uint8
    assert ("force" in episode.extras) is not table


@pytest.mark.parametrize("where", ["r/o.zarr", "r", "."])
def test_a_dataset_is_not_written_among_its_recordings(tmp_path, where):
    root = _write(tmp_path / "r")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match="must lie apart"):
        convert(root, tmp_path / where, Target(), keep="all")
    assert sorted(tmp_path.rglob("*")) == before


def test_what_does_not_fit_is_refused(tmp_path):
    root = _write(tmp_path / "r")
    (root / "take10" / "10.npz").unlink()
    with pytest.raises(DataError, match="a cloud for each of 11 rows.*10"):
        convert(root, tmp_path / "o.zarr", Target(), keep="all")
    (root / "take10" / "10.npz").symlink_to(root / "take2" / "2.npz")
    (root / "take10" / "9.npz").unlink()
    (root / "take10" / "9.npz").symlink_to("/etc/hostname")
    with pytest.raises(DataError, match="must lie in their folder"):
        convert(root, tmp_path / "p.zarr", Target(), keep="all")
    file = root / "take2" / "robot.npz"
    np.savez(file, state=np.zeros((3, 2)), action=np.zeros((3, 1)), stamps_s=np.array([0, 1, 9]))
    with pytest.raises(DataError, match="rate_hz in layout"):
        convert(root, tmp_path / "q.zarr", Target())
    np.savez(file, state=np.zeros((3, 2)), action=np.zeros((3, 1)), x=np.zeros(4))
    with pytest.raises(DataError, match="'x' of .* must have 3 rows"):
        convert(root, tmp_path / "q.zarr", Target(layout=FolderLayout(rate_hz=10.0)))


def test_every_folder_must_have_the_rate_of_the_first(tmp_path):
    root = _write(tmp_path / "r")
    file, steps = root / "take10" / "robot.npz", np.arange(11)
    numbers = {"state": np.zeros((11, 2)), "action": np.zeros((11, 1))}
    np.savez(file, **numbers, stamps_s=steps * 0.1)
    with pytest.raises(DataError, match=r"first, 20 Hz.*10 Hz in .*take10"):
        convert(root, tmp_path / "o.zarr", Target(), keep="all")
    np.savez(file, **numbers)
    with pytest.raises(DataError, match=r"no stamps in .*take10"):
        convert(root, tmp_path / "p.zarr", Target(), keep="all")
    first = root / "take2" / "robot.npz"
    np.savez(first, state=np.zeros((1, 2)), action=np.zeros((1, 1)), stamps_s=np.zeros(1))
    with pytest.raises(DataError, match=r"one stamp in .*take2"):
        convert(root, tmp_path / "q.zarr", Target(), keep="all")


def _header(shape):
    return f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117)


def _claims(file, shape):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("points.npy", b"\x93NUMPY\x01\x00v\x00" + _header(shape) + b"\n")


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.npz", lambda f: _claims(f, (10**12, 3)), "GiB"),
        ("a.npz", lambda f: _claims(f, (10**6, 3)), "must have its 24000000 bytes"),
        ("a.npz", lambda f: np.savez(f, points=np.array([{}], object)), "must hold numbers"),
        ("a.npz", lambda f: f.write_bytes(b"PK\x03\x04"), "must be an NPZ file"),
        ("a.npy", lambda f: np.save(f, np.zeros((3, 4))), r"\(M, 3\)"),
        ("a.ply", lambda f: f.write_bytes(b"ply\nformat ascii 1.0\nelement vertex 99999999999\n"
            b"property float x\nproperty float y\nproperty float z\nend_header\n1 2 3\n"),
            "at most"),
        ("a.ply", lambda f: f.write_bytes(b"x" * 99), "must begin with the header"),
        ("a.pcd", lambda f: f.write_bytes(b"VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\n"
            b"COUNT 1 1 1\nWIDTH 9999999999\nHEIGHT 1\nPOINTS 9999999999\nDATA ascii\n1 2 3\n"),
            "at most"),
    ],
)  # fmt: skip
def test_a_file_that_declares_too_much_is_refused(name, write, message, tmp_path):
    write(tmp_path / name)
    with pytest.raises(DataError, match=message):
        read_points(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("state_0,action_1\n1,2\n", "action_0, action_1"), ("state_0,action_0\n1,x\n", "a number"),
        ("state_0,action_0,why\n1,2,3\n", "'why'"), ("state_0,action_0\n1\n", "2 values"),
        ("state_0\n", "a line a step"),
        ("state_0,action_0\n1,\"" + "9" * 200_000, "must be a table"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_refused(text, message, tmp_path):
    root = _write(tmp_path / "r", table=True)
    (root / "take2" / "robot.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        convert(root, tmp_path / "o.zarr", Target())
