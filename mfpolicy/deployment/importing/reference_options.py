"""A checkpoint's configuration → the policy of this package that it is, or a clear refusal."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from mfpolicy.config import compose_preset
from mfpolicy.deployment.importing.saved_options import SavedOptions
from mfpolicy.errors import ConfigError, RunError
from mfpolicy.policy import PolicySpec
from mfpolicy.presets import policy_spec

KINDS = {
    "mp1": ("Meanpolicy",),
    "flowpolicy": ("FlowPolicy",),
    "dp3": ("DP3", "SimpleDP3"),
}
"""Ours by kind, theirs by the class of its policy."""

FLOWPOLICY_TIME = 99.0
"""FlowPolicy embeds 99 (1 - t)."""

_ONE_BLOCK = "SimpleDP3"
_FIXED: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "policy.obs_as_global_cond": (True, (True,)),
    "policy.condition_type": ("film", ("film",)),
    "policy.use_down_condition": (True, (True,)),
    "policy.use_mid_condition": (True, (True,)),
    "policy.use_up_condition": (True, (True,)),
    "policy.use_pc_color": (False, (False,)),
    "policy.pointnet_type": ("mlp", ("pointnet", "mlp")),
    "policy.n_groups": (8, (8,)),
    "policy.pointcloud_encoder_cfg.use_layernorm": (False, (True,)),
    "policy.pointcloud_encoder_cfg.final_norm": ("none", ("layernorm",)),
    "policy.pointcloud_encoder_cfg.use_projection": (True, (True,)),
}
"""Their default where the key is not set, and the values that have a counterpart here."""

_SCHEDULER: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "policy.noise_scheduler.beta_schedule": ("linear", ("squaredcos_cap_v2",)),
    "policy.noise_scheduler.prediction_type": ("epsilon", ("sample",)),
    "policy.noise_scheduler.set_alpha_to_one": (True, (True,)),
    "policy.noise_scheduler.steps_offset": (0, (0,)),
}
_CONSISTENCY = {
    "segments": ("num_segments", 2),
    "eps": ("eps", 1e-2),
    "delta": ("delta", 1e-2),
    "boundary": ("boundary", 1),
    "velocity_weight": ("alpha", 1e-5),
    "inference_steps": ("num_inference_step", 1),
}


def kind_of(options: SavedOptions, asked: str = "auto") -> str:
    """Returns mp1, flowpolicy or dp3.

    Raises:
        RunError: the policy's class is none of theirs, or not one of the kind that was asked for.
    """
    target = str(options.get("policy._target_", ""))
    name = target.rpartition(".")[2]
    found = next((kind for kind, classes in KINDS.items() if name in classes), None)
    if found is None and asked == "auto":
        raise RunError(
            "the configuration in a checkpoint must name a policy of MP1, FlowPolicy or DP3",
            received=target,
            remedy="say kind=mp1, flowpolicy or dp3 if it is a renamed copy of one",
        )
    if found not in (None, asked) and asked != "auto":
        raise RunError(f"kind={asked} must fit the checkpoint", received=target)
    return asked if found is None else found


def spec_of(
    options: SavedOptions, kind: str, *, task: str | None = None, sampler: str = "legacy"
) -> PolicySpec:
    """Returns what the checkpoint is, here.

    Args:
        options: its configuration.
        kind: mp1, flowpolicy or dp3.
        task: suite/name, of which a checkpoint says nothing that can be relied on.
        sampler: of dp3: ``legacy`` is that of the diffusers version that its notes pin.

    Raises:
        RunError: an option has no counterpart here, or is missing; the message names it.
    """
    for key, (default, supported) in _FIXED.items():
        _require(options, key, default, supported)
    _check_observations(options)
    base = compose_preset(kind)
    state_dim = _size(options, "shape_meta.obs.agent_pos.shape")
    cloud = options.get("shape_meta.obs.point_cloud.shape")
    spec = policy_spec(
        base, point_dim=3, state_dim=state_dim, action_dim=_size(options, "shape_meta.action.shape")
    )
    horizon, observed = _whole(options, "policy.horizon"), _whole(options, "policy.n_obs_steps")
    executed = min(_whole(options, "policy.n_action_steps"), horizon - observed + 1)
    width = _whole(options, "policy.pointcloud_encoder_cfg.out_channels")
    try:
        return dataclasses.replace(
            spec,
            horizon=horizon,
            n_obs_steps=observed,
            n_action_steps=executed,  # theirs slices as many as the chunk still has
            points=cloud[0] if isinstance(cloud, list) and _is_size(cloud[0]) else None,
            encoder={**base.encoder, "output_dim": width},
            network={**base.network, **_network(options, kind)},
            objective={**base.objective, **_objective(options, kind, sampler)},
            task=task,
        )
    except ConfigError as error:
        raise RunError("the checkpoint's sizes must fit one another", received=str(error)) from None


def _network(options: SavedOptions, kind: str) -> dict[str, Any]:
    widths = options.get("policy.down_dims", [256, 512, 1024])
    if not isinstance(widths, list) or not widths or not all(map(_is_size, widths)):
        raise RunError("policy.down_dims of a checkpoint must be widths", received=widths)
    found: dict[str, Any] = {
        "widths": widths,
        "kernel_size": _whole(options, "policy.kernel_size", 5),
        "time_dim": _whole(options, "policy.diffusion_step_embed_dim", 256),
    }
    if kind == "flowpolicy":
        found["top_frequency"] = FLOWPOLICY_TIME
    if kind == "dp3":
        found["top_frequency"] = float(_levels(options))
    if str(options.get("policy._target_", "")).endswith(f".{_ONE_BLOCK}"):
        found["blocks"] = 1
    return found


def _objective(options: SavedOptions, kind: str, sampler: str) -> dict[str, Any]:
    if kind == "mp1":
        return {}
    if kind == "flowpolicy":
        return {
            ours: options.get(f"policy.Conditional_ConsistencyFM.{theirs}", default)
            for ours, (theirs, default) in _CONSISTENCY.items()
        }
    target = str(options.get("policy.noise_scheduler._target_", ""))
    if target.rpartition(".")[2] != "DDIMScheduler":
        raise _unsupported("policy.noise_scheduler._target_", target, ("…DDIMScheduler",))
    for key, (default, supported) in _SCHEDULER.items():
        _require(options, key, default, supported)
    return {
        "train_steps": _levels(options),
        "inference_steps": _whole(options, "policy.num_inference_steps", _levels(options)),
        "clip": options.get("policy.noise_scheduler.clip_sample", True),
        "sampler": sampler,
    }


def _levels(options: SavedOptions) -> int:
    return _whole(options, "policy.noise_scheduler.num_train_timesteps", 1000)


def _check_observations(options: SavedOptions) -> None:
    observed = options.get("shape_meta.obs")
    if not isinstance(observed, Mapping) or not {"point_cloud", "agent_pos"} <= set(observed):
        raise RunError(
            "a checkpoint must observe point_cloud and agent_pos",
            received=sorted(observed) if isinstance(observed, Mapping) else observed,
        )
    if "imagin_robot" in observed:
        raise RunError(
            "a checkpoint must see point_cloud alone: clouds of the imagined robot, which have a "
            "normaliser of their own, have no counterpart here",
            received="shape_meta.obs.imagin_robot",
            remedy="train such a policy here, with the robot's points in its clouds",
        )


def _require(options: SavedOptions, key: str, default: Any, supported: tuple[Any, ...]) -> None:
    value = options.get(key, default)
    if value not in supported:
        raise _unsupported(key, value, supported)


def _unsupported(key: str, value: object, supported: tuple[Any, ...]) -> RunError:
    return RunError(
        f"{key} of a checkpoint must be " + " or ".join(map(str, supported)),
        received=value,
        remedy="what it stands for has no counterpart here; train such a policy here instead",
    )


def _size(options: SavedOptions, key: str) -> int:
    shape = options.get(key)
    if not isinstance(shape, list) or not shape or not all(map(_is_size, shape)):
        raise RunError(f"{key} of a checkpoint must be sizes", received=shape)
    return math.prod(shape)


def _whole(options: SavedOptions, key: str, default: int | None = None) -> int:
    value = options.get(key, default)
    if not _is_size(value):
        raise RunError(f"{key} of a checkpoint must be a whole number from 1 on", received=value)
    return value


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1_000_000
