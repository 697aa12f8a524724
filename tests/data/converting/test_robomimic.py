"""robomimic's files: clouds of stored points or of depth, and refusals that say what is needed."""

import json

import h5py
import numpy as np
import pytest
import yaml

from mfpolicy.cli import main
from mfpolicy.data import open_dataset
from mfpolicy.data.converting import Target, convert
from mfpolicy.data.converting.placing import CameraLayout
from mfpolicy.data.converting.robomimic import RobomimicLayout
from mfpolicy.errors import ConfigError, DataError

LENGTHS = (4, 3, 5)
STATE = {"robot0_eef_pos": 3, "robot0_eef_quat": 4, "robot0_gripper_qpos": 2}


def _write(path, *, points=True, depth=False):
    """As robomimic's conversion scripts write it; demo_10 comes before demo_2 by name."""
    drawn = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = sum(LENGTHS)
        data.attrs["env_args"] = json.dumps(
            {"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 20}}
        )
        for number, length in zip((0, 2, 10), LENGTHS, strict=True):
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"] = length
            demo["actions"] = drawn.uniform(-1, 1, (length, 7))
            demo["states"] = drawn.normal(size=(length, 32))
            demo["rewards"] = np.eye(length)[-1] if number != 2 else np.zeros(length)
            for name, size in STATE.items():
                demo[f"obs/{name}"] = drawn.normal(size=(length, size))
            demo[f"next_obs/{name}"] = drawn.normal(size=(length, size))
            if points:
                cloud = np.full((length, 40, 6), np.nan)
                cloud[:, :30, :3] = drawn.uniform(-1, 1, (length, 30, 3))
                cloud[:, :30, 3:] = drawn.integers(0, 256, (length, 30, 3))
                demo.create_dataset("obs/point_cloud", data=cloud, compression="gzip")
            if depth:
                demo["obs/agentview_depth"] = drawn.uniform(0.5, 1, (length, 4, 6, 1))
                demo["obs/agentview_image"] = np.full((length, 4, 6, 3), 7, np.uint8)
    return path


def test_stored_points_become_clouds(tmp_path, capsys):
    source, out = _write(tmp_path / "lift.hdf5"), tmp_path / "o.zarr"
    assert main(["data", "convert", str(source), f"out={out}", "points=16"]) == 0
    assert "2 of 3" in capsys.readouterr().out
    found = open_dataset(out)
    assert (found.spec.control_rate_hz, found.spec.state_dim, found.spec.points) == (20, 9, 16)
    assert found.episode_ends.tolist() == [4, 9]
    episode = found.episode(1)
    with h5py.File(source) as file:
        demo = file["data/demo_10"]
        np.testing.assert_array_equal(episode.action, demo["actions"][:].astype(np.float32))
        np.testing.assert_array_equal(episode.extras["full_state"], demo["states"][:])
        wanted = np.concatenate([demo[f"obs/{name}"][:] for name in STATE], axis=1)
        np.testing.assert_array_equal(episode.agent_pos, wanted.astype(np.float32))
        there = demo["obs/point_cloud"][2].astype(np.float32)
    rows = {tuple(row) for row in there[:30]}
    got = np.concatenate([episode.point_cloud[2], episode.color[2]], axis=1)
    assert len({tuple(row) for row in got} & rows) == 16
    assert convert(source, tmp_path / "all.zarr", Target(), keep="all").kept == 3


def test_depth_of_a_known_camera_becomes_clouds(tmp_path):
    source = _write(tmp_path / "lift.hdf5", points=False, depth=True)
    words = {
        "state": ["robot0_eef_pos"],
        "camera": {"depth": "agentview_depth", "color": "agentview_image",
                   "intrinsics": [5, 5, 2.5, 1.5]},
        "crop": {"minimum": [-2, -2, 0], "maximum": [2, 2, 0.9]},
    }  # fmt: skip
    (tmp_path / "l.yaml").write_text(yaml.safe_dump(words))
    line = [str(source), f"out={tmp_path}/o.zarr", f"layout={tmp_path}/l.yaml", "points=8"]
    assert main(["data", "convert", *line]) == 0
    assert main(["data", "convert", *line]) == 0  # finished, and left as it is
    found = open_dataset(tmp_path / "o.zarr")
    assert found.spec.state_dim == 3
    assert found.spec.camera["intrinsics"][0] == [5.0, 0.0, 3.0]  # ours: pixels begin at 0
    assert (found.episode(0).color == 7).all()
    assert (found.episode(0).point_cloud[..., 2] < 0.9).all()
    assert "agentview_depth" in found.array_names


def test_it_says_what_is_needed(tmp_path):
    bare = _write(tmp_path / "bare.hdf5", points=False)
    with pytest.raises(ConfigError, match=r"dataset_states_to_obs.py --depth.*layout"):
        convert(bare, tmp_path / "o.zarr", Target())
    camera = RobomimicLayout(camera=CameraLayout("front_depth", [5, 5, 2, 2]))
    with pytest.raises(DataError, match="'front_depth'"):
        convert(bare, tmp_path / "o.zarr", Target(layout=camera))
    depth = _write(tmp_path / "d.hdf5", points=False, depth=True)
    unknown = RobomimicLayout(camera=CameraLayout("agentview_depth"))
    with pytest.raises(ConfigError, match="intrinsics"):
        convert(depth, tmp_path / "o.zarr", Target(layout=unknown))
    with pytest.raises(ConfigError, match="rotation"):
        CameraLayout("d", [5, 5, 2, 2], T_world_cam=np.ones((4, 4)).tolist())
    with pytest.raises(ConfigError, match="T_world must be a rotation"):
        RobomimicLayout(T_world=np.ones((4, 4)).tolist())
    for rate in (0, -20, float("nan"), 1e9):
        with pytest.raises(ConfigError, match="rate_hz must be above 0"):
            RobomimicLayout(rate_hz=rate)
    assert not (tmp_path / "o.zarr").exists()


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"point_cloud": "robot0_eef_pos"}, r"points \(L, M, 3 or 6\).*\(4, 3\)"),
        ({"camera": CameraLayout("agentview_image", [5, 5, 2, 2])}, r"depth images.*6, 3\)"),
        ({"camera": CameraLayout("agentview_depth", [5, 5, 2, 2], color="robot0_eef_pos")},
         r"\(H, W, 3\) uint8.*float64 \(3,\), depth \(4, 6\)"),
        ({"camera": CameraLayout("agentview_depth", [5, 5, 2, 2], color="agentview_depth")},
         r"\(H, W, 3\) uint8.*\(4, 6, 1\)"),
    ],
)  # fmt: skip
def test_an_observation_of_another_shape_is_refused(layout, message, tmp_path):
    source = _write(tmp_path / "lift.hdf5", depth=True)
    with pytest.raises(DataError, match=message):
        convert(source, tmp_path / "o.zarr", Target(layout=RobomimicLayout(**layout)))


def _external(file):
    file["data/demo_0/obs/point_cloud"] = h5py.ExternalLink("/etc/passwd", "/x")


def _soft(file):
    file["data/demo_0/obs/point_cloud"] = h5py.SoftLink("/data/demo_2/obs/robot0_eef_pos")


def _virtual(file):
    layout = h5py.VirtualLayout((4, 40, 3), "f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 40, 3))
    file.create_virtual_dataset("data/demo_0/obs/point_cloud", layout)


def _stored_elsewhere(file):
    file.create_dataset("data/demo_0/obs/point_cloud", (4, 40, 3), "f8", external="/etc/passwd")


def _huge(file):
    file.create_dataset("data/demo_0/obs/point_cloud", (4, 2**40, 3), "f8", chunks=(1, 100, 3))


def _texts(file):
    file["data/demo_0/obs/point_cloud"] = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_external, "in the file itself.*ExternalLink"), (_soft, "in the file itself.*SoftLink"),
        (_virtual, "virtual True"), (_stored_elsewhere, "external True"),
        (_huge, "GiB"), (_texts, "needs one observation of points"),
    ],
)  # fmt: skip
def test_what_leads_out_or_is_too_large_is_refused(damage, message, tmp_path):
    source = _write(tmp_path / "lift.hdf5")
    with h5py.File(source, "r+") as file:
        del file["data/demo_0/obs/point_cloud"]
        damage(file)
    with pytest.raises((DataError, ConfigError), match=message):
        convert(source, tmp_path / "o.zarr", Target(points=8))


def test_damage_is_told(tmp_path):
    source = _write(tmp_path / "lift.hdf5")
    with h5py.File(source, "r+") as file:
        file["data/demo_2/obs/point_cloud"][1] = np.nan
    with pytest.raises(DataError, match="none of 40 at step 1 of episode 1"):
        convert(source, tmp_path / "o.zarr", Target())
    raw = source.read_bytes()
    source.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(DataError, match="must be an HDF5 file"):
        convert(source, tmp_path / "p.zarr", Target(), format="robomimic")
