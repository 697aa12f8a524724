"""Policies by preset name, untrained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mfpolicy.config import PresetConfig, compose_preset
from mfpolicy.config.suites import common_vectors
from mfpolicy.policy import Policy, PolicySpec


def build_policy(preset: str, *, point_dim: int, state_dim: int, action_dim: int) -> Policy:
    """Builds an untrained policy from a preset of ``configs/policy``.

    Args:
        preset: for example ``mp1`` or ``mp1_small``.
        point_dim: values per point: 3 for xyz, 6 with colors.
        state_dim: S.
        action_dim: A.

    Raises:
        ConfigError: there is no such preset; the message gives the nearest.

    Example:
        >>> build_policy("mp1_small", point_dim=3, state_dim=9, action_dim=4).spec.horizon
        4
    """
    config = compose_preset(preset)
    return Policy(
        policy_spec(config, point_dim=point_dim, state_dim=state_dim, action_dim=action_dim)
    )


def policy_spec(
    config: PresetConfig,
    *,
    point_dim: int,
    state_dim: int,
    action_dim: int,
    tasks: Sequence[str] = (),
) -> PolicySpec:
    """Returns what a preset's configuration builds at these dimensions.

    Args:
        config: the preset's.
        point_dim: C.
        state_dim: S.
        action_dim: A.
        tasks: that it will be trained for, as far as they are known; what their suite says of the
            state settles what the configuration leaves to it.
    """
    return PolicySpec(
        preset=config.policy.name,
        point_dim=point_dim,
        state_dim=state_dim,
        action_dim=action_dim,
        n_obs_steps=config.policy.n_obs_steps,
        horizon=config.policy.horizon,
        n_action_steps=config.policy.n_action_steps,
        points=config.policy.points,
        encoder=settled_encoder(config.encoder, tasks),
        network=config.network,
        objective=config.objective,
    )


def settled_encoder(options: Mapping[str, Any], tasks: Sequence[str]) -> dict[str, Any]:
    """Returns an encoder's options with what the tasks' suite says of the state.

    ``relative_to`` at ``auto`` becomes the hand's position, or None where there is none; widths of
    what is seen from nowhere are left out.

    Example:
        >>> settled_encoder({"relative_to": "auto"}, ["metaworld/push"])
        {'relative_to': ((0, 1, 2),)}
    """
    encoder = dict(options)
    if encoder.get("relative_to") == "auto":
        vectors = common_vectors(tasks)
        encoder["relative_to"] = vectors.state_positions[:1] or None if vectors else None
    if encoder.get("relative_to") is None and "relative_near_m" in encoder:
        encoder["relative_near_m"] = None
    return encoder
