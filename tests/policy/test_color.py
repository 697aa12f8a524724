"""A policy that sees colors: they matter, their order does not, and what lacks them is refused."""

import dataclasses

import numpy as np
import pytest
import torch

from mfpolicy import encoders
from mfpolicy.deployment import Runtime
from mfpolicy.deployment.client.packing import to_wire
from mfpolicy.deployment.server.messages import checked_request
from mfpolicy.errors import ObservationError
from mfpolicy.policy import Policy
from oracles.small_policy import small_policy


def colored_policy(encoder: str = "pointnet") -> Policy:
    spec = dataclasses.replace(small_policy().spec, point_dim=6, encoder={"name": encoder})
    torch.manual_seed(0)
    policy = Policy(spec).eval()
    policy.normalizer.point_cloud.scale[3:] = 2 / 255
    policy.normalizer.point_cloud.offset[3:] = 127.5
    return policy


@pytest.fixture(scope="module")
def policy():
    return colored_policy()


@pytest.fixture
def observation():
    random = np.random.default_rng(0)
    cloud = random.random((3, 2, 8, 6), dtype=np.float32)
    cloud[..., 3:] = random.integers(0, 256, (3, 2, 8, 3))
    return {"point_cloud": cloud, "agent_pos": random.random((3, 2, 5), dtype=np.float32)}


NOISE = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("encoder", encoders.names())
def test_every_encoder_takes_colors_in_any_order_of_points(encoder, observation):
    policy = colored_policy(encoder)
    assert policy.spec.color
    acted = policy.predict(observation, noise=NOISE)
    order = np.random.default_rng(2).permutation(8)
    shuffled = {**observation, "point_cloud": observation["point_cloud"][:, :, order]}
    torch.testing.assert_close(policy.predict(shuffled, noise=NOISE), acted)
    repainted = observation["point_cloud"].copy()
    repainted[..., 3:] = 255 - repainted[..., 3:]
    other = policy.predict({**observation, "point_cloud": repainted}, noise=NOISE)
    assert not torch.allclose(other, acted, atol=1e-4)


@pytest.mark.parametrize("backend", ["packed", "eager"])
def test_a_runtime_decides_as_the_policy_does(policy, observation, backend):
    decide = policy.compile(batch=3, backend=backend)
    expected = policy.predict(observation, noise=NOISE).numpy()
    acted = decide(observation, noise=NOISE.numpy())
    np.testing.assert_allclose(acted, expected, rtol=0, atol=1e-5)


def _fractions(cloud):
    return np.concatenate([cloud[..., :3], cloud[..., 3:] / 255], axis=-1)


def _shifted(cloud):
    return cloud - 40 * (np.arange(6) > 2)


BAD = {
    "no colors": (lambda cloud: cloud[..., :3], "this policy sees colors"),
    "from 0 to 1": (_fractions, "multiply those from 0 to 1 by 255"),
    "below 0": (_shifted, "must lie from 0 to 255"),
    "above 255": (lambda cloud: 2 * cloud, "must lie from 0 to 255"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("way", ["policy", "runtime", "server"])
def test_a_cloud_without_colors_or_with_others_is_refused(policy, observation, kind, way):
    spoil, message = BAD[kind]
    bad = {**observation, "point_cloud": spoil(observation["point_cloud"]).astype(np.float32)}
    wire = {"observation": {key: to_wire(value) for key, value in bad.items()}}
    decide = {
        "policy": lambda: policy.predict(bad),
        "runtime": lambda: Runtime(policy, batch=3, backend="eager")(bad),
        "server": lambda: checked_request(wire, policy.spec, 8),
    }[way]
    with pytest.raises(ObservationError, match=message):
        decide()


@pytest.mark.parametrize("shade", [0, 1, 255])
def test_scenes_of_one_shade_are_seen(policy, observation, shade):
    observation["point_cloud"][..., 3:] = shade
    assert policy.predict(observation, noise=NOISE).isfinite().all()


def test_a_policy_without_colors_says_so_when_it_gets_some(observation):
    with pytest.raises(ObservationError, match="this policy sees no colors"):
        small_policy().predict(observation)
