"""The function of tensors that is compiled and exported is the policy, for every objective."""

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.errors import ConfigError
from oracles.small_policy import small_policy


def _inputs(batch: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    drawn = torch.Generator().manual_seed(1)
    shapes = ((batch, 2, 8, 3), (batch, 2, 5), (batch, 4, 2))
    cloud, state, noise = (torch.randn(shape, generator=drawn) for shape in shapes)
    return cloud, state, noise


@pytest.mark.parametrize("name", objectives.names())
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_the_module_decides_as_the_policy_does(name, scale):
    policy = small_policy(name)
    cloud, state, noise = _inputs()
    expected = policy.predict(
        {"point_cloud": cloud, "agent_pos": state}, noise=noise, noise_scale=scale
    )
    actual = ActionModule(policy, noise_scale=scale)(cloud, state, noise)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def test_it_owns_its_weights():
    policy = small_policy()
    module = ActionModule(policy)
    before = module(*_inputs())
    with torch.no_grad():
        for weight in policy.parameters():
            weight.add_(1)
    assert torch.equal(module(*_inputs()), before)


def test_a_sampler_that_draws_on_its_way_is_refused():
    policy = small_policy("flow_anchored_consistency", sampler="renoise")
    with pytest.raises(ConfigError, match="draws noise on its way"):
        ActionModule(policy, steps=2)
    ActionModule(policy, steps=1)
