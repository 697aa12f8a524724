"""MP1's own policy class, from a checkout of its public repository (LogSSim/MP1).

It needs ``einops`` and ``termcolor`` beside PyTorch. Modules that its files import
and the policy never touches (``torchvision``, the samplers of another method) are left out.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import torch
from torch import nn

from mfpolicy.errors import RunError
from mfpolicy.types import Batch


class _Options(dict):
    """Options by key or by attribute, as the repository's configuration library gives them."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


def checkout_policy(
    path: Path, *, state_dim: int, action_dim: int, widths: tuple[int, ...], points: int
) -> nn.Module:
    """Builds ``mp1.policy.meanpolicy_dis.Meanpolicy`` with the options of its mp1.yaml.

    Args:
        path: the checkout.
        state_dim: S.
        action_dim: A.
        widths: channels per level.
        points: P.

    Raises:
        RunError: the path holds no such checkout, or a package that it imports is missing.
    """
    _make_importable(path)
    try:
        normalizers = importlib.import_module("mp1.model.common.normalizer")
        policies = importlib.import_module("mp1.policy.meanpolicy_dis")
    except ModuleNotFoundError as error:
        raise RunError(
            "the repository's policy needs packages of its own",
            received=error.name,
            remedy="pip install einops termcolor",
        ) from error

    observations = {
        "point_cloud": MappingProxyType({"shape": [points, 3]}),
        "agent_pos": MappingProxyType({"shape": [state_dim]}),
    }
    cloud = _Options(
        in_channels=3,
        out_channels=64,
        use_layernorm=True,
        final_norm="layernorm",
        normal_channel=False,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        policy = policies.Meanpolicy(
            {"obs": observations, "action": {"shape": [action_dim]}},
            horizon=4,
            n_action_steps=4,
            n_obs_steps=2,
            diffusion_step_embed_dim=128,
            down_dims=widths,
            kernel_size=5,
            n_groups=8,
            encoder_output_dim=64,
            crop_shape=(84, 84),
            use_pc_color=False,
            pointnet_type="mlp",
            pointcloud_encoder_cfg=cloud,
        )
    normalizer = normalizers.LinearNormalizer()
    for name in ("point_cloud", "agent_pos", "action"):
        normalizer[name] = normalizers.SingleFieldLinearNormalizer.create_identity()
    policy.set_normalizer(normalizer)
    return policy


def checkout_averages(policy: nn.Module) -> Callable[[nn.Module], None]:
    """The repository's own EMA, as its trainer sets it up: a call takes in the parameters."""
    import copy

    ema = importlib.import_module("mp1.model.mean.ema_model")

    return ema.EMAModel(model=copy.deepcopy(policy), power=0.75, max_value=0.9999).step


def checkout_batch(batch: Batch) -> dict[str, Any]:
    """A batch in the repository's form; it observes the first To frames."""
    return {
        "obs": {"point_cloud": batch.point_cloud, "agent_pos": batch.agent_pos},
        "action": batch.action,
    }


@torch.no_grad()
def load_weights(policy: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Loads encoder and network; only parameters that take no part in the loss keep theirs."""
    own = dict(policy.named_parameters())
    idle = ("model.var_est.", "normalizer.", "mask_generator.", "_dummy_variable")
    apart = {name for name in own if not name.startswith(idle)} ^ set(weights)
    if apart:
        raise ValueError(f"weights do not fit the repository's policy: {sorted(apart)}")
    for name, value in weights.items():
        own[name].copy_(value)


def _make_importable(path: Path) -> None:
    package = path / "MP1"
    if not (package / "mp1" / "policy" / "meanpolicy_dis.py").is_file():
        raise RunError(
            "the reference must be a checkout of LogSSim/MP1, with its folder MP1/mp1/policy",
            received=str(path),
            remedy="git clone https://github.com/LogSSim/MP1",
        )
    sys.path.insert(0, str(package))
    sys.modules.setdefault("torchvision", ModuleType("torchvision"))
    samplers = ModuleType("mp1.sde_lib")
    samplers.ConsistencyFM = object  # type: ignore[attr-defined]
    sys.modules["mp1.sde_lib"] = samplers
