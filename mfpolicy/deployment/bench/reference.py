"""MP1's own policy, from a checkout of its repository, as something that decides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from mfpolicy.deployment.bench.checkout import checkout_policy

WIDTHS, POINTS, FRAMES = (512, 1024, 2048), 512, 2


class ReferenceDecider:
    """``Meanpolicy.predict_action`` at the paper's size, host arrays in and out.

    Args:
        path: checkout of LogSSim/MP1.
        state_dim: S.
        action_dim: A.

    Raises:
        RunError: the path holds no such checkout, or a package that it imports is missing.
    """

    def __init__(self, path: Path, state_dim: int, action_dim: int) -> None:
        sizes = {"state_dim": state_dim, "action_dim": action_dim}
        self.policy = checkout_policy(path, widths=WIDTHS, points=POINTS, **sizes).eval()
        self.state_dim = state_dim
        weights = self.policy.get_submodule("model").parameters()
        self.weight_mb = sum(weight.nbytes for weight in weights) / 1e6

    def observation(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        """A random observation of the right size."""
        return {
            "point_cloud": random.random((1, FRAMES, POINTS, 3), np.float32),
            "agent_pos": random.random((1, FRAMES, self.state_dim), np.float32),
        }

    @torch.inference_mode()
    def __call__(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        """Actions (1, Ta, A)."""
        tensors = {key: torch.from_numpy(value) for key, value in observation.items()}
        return self.policy.predict_action(tensors)["action"].numpy()  # type: ignore[operator]
