"""The parts of a policy, built from its spec."""

from __future__ import annotations

from torch import nn

from mfpolicy import networks
from mfpolicy.encoders import ObservationEncoder, auxiliary, build_observation_encoder
from mfpolicy.errors import ConfigError
from mfpolicy.networks import NETWORKS, Network
from mfpolicy.objectives.base import Objective
from mfpolicy.options import check_whole
from mfpolicy.policy.spec import PolicySpec

MOST_CLOUDS = 16


def build_encoder(spec: PolicySpec) -> ObservationEncoder:
    """Builds what turns observations into conditions; it has tokens if the network can use them.

    Raises:
        ConfigError: a name or an option is unknown, or parts do not fit one another.
    """
    return build_observation_encoder(
        spec.part("encoder"),
        point_dim=spec.point_dim,
        state_dim=spec.state_dim,
        n_obs_steps=spec.n_obs_steps,
        tokens=NETWORKS.get(spec.part("network")["name"]).takes_tokens,
        clouds=clouds_apart(spec),
        tasks=len(spec.multitask.get("tasks", ())),
        task=spec.multitask.get("condition"),
    )


def clouds_apart(spec: PolicySpec) -> int:
    """K, the clouds that are encoded apart: what the encoder says, else as the recipe keeps them.

    Raises:
        ConfigError: the encoder says a number that the recipe does not have.
    """
    own, stored = spec.part("encoder").get("clouds"), spec.parts
    if own is None:
        return stored
    check_whole("encoder.clouds", own, 1, MOST_CLOUDS)
    if own not in (1, stored) and spec.recipe is not None:
        raise ConfigError(
            "encoder.clouds must be the number of clouds that the data keep apart, or 1",
            received=f"{own}, the data keep {stored}",
            remedy="leave it out, or collect with cameras=[…,…] clouds=apart",
        )
    if spec.points is not None and spec.points % own:
        raise ConfigError(
            "points of clouds that are encoded apart must be a multiple of their number",
            received=f"{spec.points} points, {own} clouds",
            remedy=f"set policy.points={max(own, spec.points - spec.points % own)}",
        )
    return own


def build_network(spec: PolicySpec, encoder: ObservationEncoder, objective: Objective) -> Network:
    """Builds the network for the encoder's conditions, as the objective needs it.

    Raises:
        ConfigError: a name or an option is unknown, or the network has not what is needed.
    """
    options = {**spec.part("network"), **objective.network_options}
    if encoder.tokens:
        options |= {"tokens": encoder.tokens, "token_dim": encoder.token_dim}
    return networks.build(
        **options,
        action_dim=spec.action_dim,
        horizon=spec.horizon,
        condition_dim=encoder.vector_dim,
    )


def build_heads(spec: PolicySpec, encoder: ObservationEncoder) -> nn.ModuleDict:
    """Builds the heads of the auxiliary losses, by name.

    Raises:
        ConfigError: a name or an option is unknown, or a loss needs what the policy does not see.
    """
    sizes = auxiliary.Sizes(
        cloud_dim=encoder.cloud.output_dim,
        vector_dim=encoder.fusion.output_dim,
        state_dim=spec.state_dim,
        action_dim=spec.action_dim,
        n_obs_steps=spec.n_obs_steps,
    )
    asked = spec.auxiliary.items()
    return nn.ModuleDict({name: auxiliary.build(name, sizes=sizes, **own) for name, own in asked})
