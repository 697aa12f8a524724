"""Recordings of about a given size, written by the formats' own libraries."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np

STEPS, POINTS = 100, 512
_SEED = 0


def write_dp3(path: Path, size: int) -> Path:
    """DP3's zarr of the door: clouds (512, 6), an image and depth of 84 pixels."""
    import zarr
    from numcodecs import Blosc

    per_step = POINTS * 6 * 4 + 84 * 84 * 3 + 84 * 84 * 4 + (24 + 28) * 4
    episodes = max(size // (per_step * STEPS), 2)
    drawn, rows = np.random.default_rng(_SEED), episodes * STEPS
    root = zarr.create_group(str(path), zarr_format=2)
    shapes = {
        "point_cloud": ((POINTS, 6), "f4"), "img": ((84, 84, 3), "u1"), "depth": ((84, 84), "f4"),
        "state": ((24,), "f4"), "action": ((28,), "f4"),
    }  # fmt: skip
    blosc = Blosc(cname="zstd", clevel=3, shuffle=1)
    arrays = {
        name: root.create_array(f"data/{name}", shape=(rows, *row), chunks=(STEPS, *row),
                                dtype=kind, compressors=blosc)
        for name, (row, kind) in shapes.items()
    }  # fmt: skip
    for start in range(0, rows, STEPS):
        for name, (row, kind) in shapes.items():
            if kind == "u1":
                values = drawn.integers(0, 256, (STEPS, *row), np.uint8)
            else:
                values = drawn.uniform(0.1, 1.0, (STEPS, *row)).astype(np.float32)
            if name == "point_cloud":
                values[..., 3:] = drawn.integers(0, 256, (STEPS, POINTS, 3))
            arrays[name][start : start + STEPS] = values
    ends = root.create_array("meta/episode_ends", shape=(episodes,), dtype="i8")
    ends[...] = (np.arange(episodes) + 1) * STEPS
    return path


def write_robomimic(path: Path, size: int) -> Path:
    """Depth and color of 240 x 320 pixels, as robomimic's scripts write them, uncompressed."""
    import h5py

    per_demo = STEPS * 240 * 320 * 7
    drawn = np.random.default_rng(_SEED)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        environment = {"env_name": "Lift", "env_kwargs": {"control_freq": 20}}
        data.attrs["env_args"] = json.dumps(environment)
        for number in range(max(size // per_demo, 2)):
            demo = data.create_group(f"demo_{number}")
            demo["actions"] = drawn.uniform(-1, 1, (STEPS, 7))
            demo["rewards"] = np.ones(STEPS)
            demo["obs/robot0_eef_pos"] = drawn.normal(size=(STEPS, 3))
            demo["obs/view_depth"] = drawn.uniform(0.5, 1, (STEPS, 240, 320, 1)).astype("f4")
            demo["obs/view_image"] = drawn.integers(0, 256, (STEPS, 240, 320, 3), np.uint8)
    layout = {
        "state": ["robot0_eef_pos"],
        "camera": {"depth": "view_depth", "color": "view_image",
                   "intrinsics": [300, 300, 159.5, 119.5]},
    }  # fmt: skip
    path.with_suffix(".yaml").write_text(json.dumps(layout))
    return path


def write_ply(path: Path, size: int) -> Path:
    """Binary PLY of 100 000 colored points each, by open3d; 50 clouds an episode."""
    import open3d

    count, drawn = 100_000, np.random.default_rng(_SEED)
    files, per_episode = max(size // (count * 27), 100), 50
    for number in range(files):
        folder = path / f"{number // per_episode:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        cloud = open3d.geometry.PointCloud(
            open3d.utility.Vector3dVector(drawn.uniform(-1, 1, (count, 3)))
        )
        cloud.colors = open3d.utility.Vector3dVector(drawn.uniform(0, 1, (count, 3)))
        open3d.io.write_point_cloud(str(folder / f"{number % per_episode:06d}.ply"), cloud)
    for folder in path.iterdir():
        length = len(list(folder.glob("*.ply")))
        np.savez(folder / "robot.npz", state=np.zeros((length, 7)), action=np.zeros((length, 7)),
                 stamps_s=np.arange(length) / 10)  # fmt: skip
    return path


def write_bags(path: Path, size: int, kind: str) -> Path:
    """Bags of 60 clouds of 480 x 640 points with joints and commands, by rosbags."""
    import sys

    sys.path.insert(0, "tests")
    from data.converting.bags import BagWriter

    width, drawn, per_bag = 640 * 480, np.random.default_rng(_SEED), 60
    xyz = drawn.uniform(0.2, 1.0, (width, 3))
    rgb = drawn.integers(0, 256, (width, 3))
    path.mkdir(parents=True)
    bags = max(size // (per_bag * width * 28), 2)
    for number in range(bags):
        bag = BagWriter(path / (f"{number:03d}" + (".bag" if kind == "ros1" else "")), kind)
        for step in range(per_bag * 5):
            time = 10 + step / 50
            if step % 5 == 0:
                bag.cloud("/points", time, xyz + step / 1e4, rgb)
            bag.joints("/joint_states", time, [step, 0, 0])
            bag.command("/command", time, [step])
        bag.close()
    layout = {
        "rate_hz": 10, "cloud": {"topic": "/points"},
        "state": [{"topic": "/joint_states", "field": "position"}],
        "action": [{"topic": "/command", "field": "data"}],
    }  # fmt: skip
    path.with_suffix(".yaml").write_text(json.dumps(layout))
    return path


def write_minari(path: Path, episodes: int, python: str | None) -> Path:
    """Starts and actions of the door's expert, written by minari itself where ``python`` has it."""
    import sys

    import h5py

    sys.path.insert(0, "tests")
    from data.converting.recordings import record_door

    recorded = [record_door(seed) for seed in range(episodes)]
    if python is None:
        (path / "data").mkdir(parents=True)
        with h5py.File(path / "data/main_data.hdf5", "w") as file:
            for number, each in enumerate(recorded):
                group = file.create_group(f"episode_{number}")
                group["actions"] = each["actions"].astype("f4")
                for name, value in each["init_state_dict"].items():
                    group.attrs[f"options/initial_state_dict/{name}"] = value
        return path
    arrays = {}
    for number, each in enumerate(recorded):
        arrays |= {f"{number} {name}": each[name] for name in ("observations", "actions")}
        arrays |= {f"{number} start {name}": v for name, v in each["init_state_dict"].items()}
    path.mkdir(parents=True)
    np.savez(path / "recorded.npz", **arrays)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    code = _MINARI.format(npz=str(path / "recorded.npz"), episodes=episodes)
    subprocess.run([python, "-c", code], check=True,
                   env=environment | {"MINARI_DATASETS_PATH": str(path)})  # fmt: skip
    return path / "D4RL" / "door" / "check-v0"


_MINARI = """
import numpy as np, gymnasium, minari
from minari.data_collector import EpisodeBuffer
found, buffers = np.load({npz!r}), []
for number in range({episodes}):
    actions = found[f"{{number}} actions"].astype("f4")
    seen = found[f"{{number}} observations"]
    start = {{name.split(" start ")[1]: found[name] for name in found
             if name.startswith(f"{{number}} start ")}}
    length = len(actions)
    buffers.append(EpisodeBuffer(
        id=number, seed=number, options={{"initial_state_dict": start}},
        observations=np.concatenate([seen, seen[-1:]]), actions=actions,
        rewards=np.zeros(length), terminations=np.zeros(length, bool),
        truncations=np.arange(length) == length - 1,
        infos={{"success": np.zeros(length + 1, bool)}}))
box = gymnasium.spaces.Box
minari.create_dataset_from_buffers(
    "D4RL/door/check-v0", buffers, observation_space=box(-np.inf, np.inf, (39,)),
    action_space=box(-1, 1, (28,)), data_format="hdf5")
"""


def write_dapg(path: Path, episodes: int) -> Path:
    """Recordings of the door's expert as DAPG pickles them."""
    import sys

    sys.path.insert(0, "tests")
    from data.converting.recordings import record_door, write_demos

    return write_demos(path, [record_door(seed) for seed in range(episodes)])
