"""Recordings of others, made with real simulators and written in exactly their layouts."""

import math
import pickle
from pathlib import Path

import numpy as np
import zarr
from numcodecs import Blosc

import envs
from envs.experts.network import NetworkExpert, expert_file

STEPS = 200  # of gymnasium-robotics, at 100 Hz


def record_door(
    seed: int, *, steps: int = STEPS, still: bool = False, states: bool = False
) -> dict:
    """One path of DAPG's structure: the door's expert in plain gymnasium-robotics.

    With ``states`` also the simulator's state before each action and after the last.
    """
    simulation = envs.open_simulation("adroit/door")
    env = simulation._env
    observation, _ = env.reset(seed=seed)
    start = env.get_env_state()
    expert = NetworkExpert.load(expert_file("adroit", "door"))
    observations, actions, rewards, visited = [], [], [], []
    action = np.zeros(28)
    for step in range(steps):
        if step % 2 == 0 and not still:  # the expert acts at 50 Hz
            action = np.float64(expert.action(observation))
        observations.append(observation)
        if states:
            visited.append({name: np.array(value) for name, value in env.get_env_state().items()})
        actions.append(action)
        observation, reward, *_ = env.step(action)
        rewards.append(reward)
    if states:
        visited.append({name: np.array(value) for name, value in env.get_env_state().items()})
    simulation.close()
    return {
        "observations": np.array(observations),
        "actions": np.array(actions),
        "rewards": np.array(rewards),
        "init_state_dict": start,
        **({"states": visited} if states else {}),
    }


def write_demos(path: Path, paths: list[dict], protocol: int = 3) -> Path:
    path.write_bytes(pickle.dumps(paths, protocol=protocol))
    return path


def write_dp3(path: Path, arrays: dict[str, np.ndarray], ends: list[int]) -> Path:
    """A zarr of format 2 as DP3's generators write it."""
    root = zarr.create_group(str(path), zarr_format=2, overwrite=True)
    compressor = Blosc(cname="zstd", clevel=3, shuffle=1)
    for name, values in arrays.items():
        array = root.create_array(
            f"data/{name}", shape=values.shape, dtype=values.dtype,
            chunks=(100, *values.shape[1:]), compressors=compressor,
        )  # fmt: skip
        array[...] = values
    meta = root.create_array(
        "meta/episode_ends", shape=(len(ends),), dtype="int64", compressors=compressor
    )
    meta[...] = np.array(ends)
    return path


def dp3_cloud(depth: np.ndarray, task: str) -> np.ndarray:
    """(H·W, 3) as DP3 makes it of a depth image in metres, before it crops and samples.

    Written down step by step as its wrapper goes, with its own constants: Open3D's unprojection
    with the centre at s/2, the first camera's rotation, no translation, then per task a rotation
    by the transpose and an offset.
    """
    side = depth.shape[0]
    focal = side / (2 * math.tan(math.radians(45) / 2))
    rows, columns = np.mgrid[:side, :side]
    seen = np.stack(
        [(columns - side / 2) * depth / focal, (rows - side / 2) * depth / focal, depth], axis=-1
    ).reshape(-1, 3)
    w, x = np.array([0.92388, 0.382683]) / math.hypot(0.92388, 0.382683)
    first = np.array([[1, 0, 0], [0, 1 - 2 * x * x, -2 * w * x], [0, 2 * w * x, 1 - 2 * x * x]])
    about_x = np.diag([1.0, -1.0, -1.0])  # the quaternion 0 1 0 0
    world = seen @ (first @ about_x).T
    if task == "adroit/pen":
        return world
    cos, sin = np.cos(np.radians(45)), np.sin(np.radians(45))
    turn = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    return world @ turn.T + np.array([0, 0, 1.0])
