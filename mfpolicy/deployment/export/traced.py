"""A policy as a graph of tensor operations, for any batch size (``torch.export``)."""

from __future__ import annotations

from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.policy.parts import clouds_apart

INPUTS = ("point_cloud", "agent_pos", "noise")
OUTPUT = "actions"
MAX_BATCH = 65_536
MAX_POINTS = 1_048_576


@torch.no_grad()
def trace(module: ActionModule) -> ExportedProgram:
    """Returns the graph of (point cloud, robot state, noise) → actions.

    The batch is free; so is the number of points where the policy's spec leaves it open.

    Example:
        >>> import mfpolicy
        >>> policy = mfpolicy.build_policy("mp1_small", point_dim=3, state_dim=9, action_dim=4)
        >>> module = ActionModule(policy)
        >>> trace(module).module()(*module.example_inputs(batch=5)).shape
        torch.Size([5, 3, 4])
    """
    batch = Dim("batch", min=1, max=MAX_BATCH)
    free = {0: batch}
    cloud = free if module.spec.points else {0: batch, 2: _points(module)}
    # two rows: a batch of one would be taken for a constant
    return torch.export.export(
        module, module.example_inputs(2), dynamic_shapes=(cloud, free, free), strict=False
    )


def _points(module: ActionModule) -> Any:
    """A free number of points; of clouds that are encoded apart, of each."""
    least, apart = module.policy.encoder.cloud.least_points, clouds_apart(module.spec)
    each = Dim("points", min=least // apart, max=MAX_POINTS // apart)
    return each if apart == 1 else apart * each
