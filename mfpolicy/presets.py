"""Policies by preset name, untrained."""

from __future__ import annotations

from mfpolicy.config import PresetConfig, compose_preset
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
    sizes = {"point_dim": point_dim, "state_dim": state_dim, "action_dim": action_dim}
    return Policy(policy_spec(config, **sizes))


def policy_spec(
    config: PresetConfig, *, point_dim: int, state_dim: int, action_dim: int
) -> PolicySpec:
    """Returns what a preset's configuration builds at these dimensions."""
    return PolicySpec(
        preset=config.policy.name,
        point_dim=point_dim,
        state_dim=state_dim,
        action_dim=action_dim,
        n_obs_steps=config.policy.n_obs_steps,
        horizon=config.policy.horizon,
        n_action_steps=config.policy.n_action_steps,
        points=config.policy.points,
        encoder=config.encoder,
        network=config.network,
        objective=config.objective,
    )
