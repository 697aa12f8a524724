"""What is compared: pairs of an encoder and a network, at the sizes of their configurations.

All are the default preset but for these two parts: two frames of 256 points, seen from the hand too
and magnified near it, chunks of four actions, MeanFlow, one network evaluation.
"""

from __future__ import annotations

from mfpolicy.config import compose_preset
from mfpolicy.policy import Policy
from mfpolicy.presets import policy_spec

PRESET = "mp1_mixer"
SIZES = {"point_dim": 3, "state_dim": 9, "action_dim": 4}
BASELINE = "pointnet+mlp_mixer"
FIRST = "encoder.centers=first"
CANDIDATES: dict[str, tuple[str, ...]] = {
    BASELINE: (),
    "pointnet+unet1d_small": ("network=unet1d_small",),
    "pointnet+transformer": ("network=transformer",),
    "pyramid+mlp_mixer": ("encoder=pyramid",),
    "pyramid+unet1d_small": ("encoder=pyramid", "network=unet1d_small"),
    "set_abstraction+mlp_mixer": ("encoder=set_abstraction",),
    "set_abstraction_first+mlp_mixer": ("encoder=set_abstraction", FIRST),
    "point_transformer+mlp_mixer": ("encoder=point_transformer",),
    "point_transformer_first+mlp_mixer": (
        *("encoder=point_transformer", FIRST, "encoder.fusion=cross_attention"),
    ),
    "point_transformer+transformer": ("encoder=point_transformer", "network=transformer"),
    "point_transformer_first+transformer": (
        *("encoder=point_transformer", FIRST, "network=transformer"),
    ),
}
"""Overrides of the preset by name. ``first``: the cloud's first points are the centres."""


def build(name: str) -> Policy:
    """Builds a candidate, untrained, for a Meta-World task.

    Example:
        >>> build("pointnet+mlp_mixer").network.horizon
        4
    """
    config = compose_preset(PRESET, CANDIDATES[name])
    return Policy(policy_spec(config, **SIZES, tasks=["metaworld/push"])).eval()
