"""A small dataset with all that a check looks at, of smooth random motions: no simulator."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mfpolicy.data.store import DatasetSpec, DatasetWriter, Episode
from mfpolicy.pointcloud import PointCloudRecipe

POINTS, STATE, ACTION, STEPS = 24, 4, 3, 48
RECIPE = PointCloudRecipe(
    "corner2", (0.6, 0.295, 0.8), 128, (-0.75, 0.15, 0.005), (0.55, 1.15, 1.0), points=POINTS
)
T_WORLD_CAM = [  # of Meta-World's camera corner2
    [-0.549901, -0.376208, -0.745705, 0.6],
    [-0.833183, 0.309549, 0.458242, 0.295],
    [0.058438, 0.873297, -0.483671, 0.8],
    [0.0, 0.0, 0.0, 1.0],
]


def smooth_episode(index: int, steps: int = STEPS) -> Episode:
    """Episode ``index``: a motion that starts at a place of its own; clouds fill the crop box."""
    rng = np.random.default_rng(index)
    time = np.arange(steps)[:, None] / 20
    start = rng.uniform(2, 3, STATE) * (1 if index % 2 else -1)
    start[0] = 0.0
    state = start + 0.3 * np.sin(time * rng.uniform(0.5, 1.5, STATE) + rng.uniform(0, 6, STATE))
    low, high = np.array(RECIPE.crop_min), np.array(RECIPE.crop_max)
    action = np.cos(time * rng.uniform(0.5, 1.5, ACTION)) * 0.5
    action[:, -1] = np.where(time[:, 0] > 1.2, 1.0, -1.0)  # a gripper
    return Episode(
        point_cloud=rng.uniform(low, high, (steps, POINTS, 3)).astype(np.float32),
        agent_pos=state.astype(np.float32),
        action=action.astype(np.float32),
        seed=100 + index,
        success=True,
        color=rng.integers(0, 256, (steps, POINTS, 3)).astype(np.uint8),
        extras={"full_state": rng.normal(size=(steps, 5))},
    )


def write_smooth_dataset(path: Path, episodes: int = 3, *, steps: int = STEPS) -> Path:
    """Writes ``episodes`` episodes to ``path`` and returns it."""
    spec = DatasetSpec(
        task="toy/smooth", control_rate_hz=20.0, expert="scripted", recipe=RECIPE,
        camera={"T_world_cam": T_WORLD_CAM, "image_size": 128},
        state_dim=STATE, action_dim=ACTION, points=POINTS,
    )  # fmt: skip
    with DatasetWriter.open(path, spec) as writer:
        for index in range(episodes):
            writer.append(smooth_episode(index, steps))
    return path
