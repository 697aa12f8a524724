"""Policies of the released MP1, FlowPolicy and DP3, from checkouts of their public repositories."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from benchmarks.deployment.stand_ins import provide

TASK = "metaworld_door-open"
_DP3 = "YanjieZe/3D-Diffusion-Policy 47385d9"


@dataclass(frozen=True)
class Released:
    """Where a policy lies in its checkout; the commit is the one this was written for."""

    kind: str
    repository: str
    folder: str
    module: str
    config: str


RELEASED = {
    "MP1": Released(
        "mp1", "LogSSim/MP1 929d4dd", "MP1", "mp1.policy.meanpolicy_dis.Meanpolicy", "mp1"
    ),
    "FlowPolicy": Released(
        "flowpolicy",
        "zql-kk/FlowPolicy ff3b3fe",
        "FlowPolicy",
        "flow_policy_3d.policy.flowpolicy.FlowPolicy",
        "flowpolicy",
    ),
    "DP3": Released(
        "dp3", _DP3, "3D-Diffusion-Policy", "diffusion_policy_3d.policy.dp3.DP3", "dp3"
    ),
    "Simple DP3": Released(
        "dp3",
        _DP3,
        "3D-Diffusion-Policy",
        "diffusion_policy_3d.policy.simple_dp3.SimpleDP3",
        "simple_dp3",
    ),
}


def configuration(released: Released, checkout: Path, widths: list[int] | None) -> DictConfig:
    """Their own configuration of a Meta-World task, interpolations as they are in the files."""
    package = released.module.partition(".")[0]
    folder = checkout / released.folder / package / "config"
    if not folder.is_dir():
        raise SystemExit(f"{checkout} must be a checkout: it has no {folder.relative_to(checkout)}")
    parts: Any = OmegaConf.to_container(OmegaConf.load(folder / f"{released.config}.yaml"))
    parts["task"] = OmegaConf.to_container(OmegaConf.load(folder / "task" / f"{TASK}.yaml"))
    config = OmegaConf.create({k: v for k, v in parts.items() if k not in ("defaults", "hydra")})
    if widths is not None:
        config.policy.down_dims = widths
    return config


def build(released: Released, checkout: Path, config: DictConfig) -> nn.Module:
    """Builds the policy as the released training script does, with random weights.

    Its normaliser is fitted to random data, the clouds with their colours.
    """
    provide()
    root = str(checkout / released.folder)
    sys.path[:] = [root, *(p for p in sys.path if p != root)]
    module, _, name = released.module.rpartition(".")
    if released.kind == "mp1":
        _without_samplers()
    policy_options = {key: _value(config, key) for key in config.policy if key != "_target_"}
    observed = OmegaConf.to_container(config.task.shape_meta.obs, resolve=False)
    shapes = {key: MappingProxyType({"shape": value["shape"]}) for key, value in observed.items()}
    action = list(config.task.shape_meta.action.shape)
    policy_options["shape_meta"] = {"obs": shapes, "action": {"shape": action}}
    if "noise_scheduler" in policy_options:
        scheduler = importlib.import_module("diffusers.schedulers.scheduling_ddim").DDIMScheduler
        values = {k: v for k, v in policy_options["noise_scheduler"].items() if k != "_target_"}
        policy_options["noise_scheduler"] = scheduler(**values)
    with contextlib.redirect_stdout(io.StringIO()):
        policy = getattr(importlib.import_module(module), name)(**policy_options)
    package = module.partition(".")[0]
    normalizer = importlib.import_module(f"{package}.model.common.normalizer").LinearNormalizer()
    normalizer.fit(
        {
            "point_cloud": torch.rand(50, 32, 6) * 2 - 0.7,
            "agent_pos": torch.randn(200, shapes["agent_pos"]["shape"][0]),
            "action": torch.randn(200, action[0]) * 0.7 + 0.1,
        }
    )
    policy.set_normalizer(normalizer)
    return policy.eval()


def _value(config: DictConfig, key: str) -> Any:
    if key == "shape_meta":
        return None
    value = config.policy[key]
    if not isinstance(value, DictConfig):
        return list(value) if OmegaConf.is_list(value) else value
    return value


def _without_samplers() -> None:
    samplers = ModuleType("mp1.sde_lib")
    samplers.ConsistencyFM = object  # type: ignore[attr-defined]
    sys.modules["mp1.sde_lib"] = samplers
