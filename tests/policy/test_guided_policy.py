"""A policy whose network takes the guidance scale as an input, and one with a velocity head."""

import pytest
import torch

import mfpolicy
from mfpolicy.config import compose_preset
from mfpolicy.errors import ConfigError
from mfpolicy.policy import save_policy
from mfpolicy.types import Batch
from oracles.small_policy import small_policy

BOTH = {"velocity_head": True, "scale_input": {"active": True, "drop": 0.5, "scale": 2.0}}


def _batch(rows: int = 32) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        point_cloud=torch.rand(rows, 2, 8, 3, generator=generator),
        agent_pos=torch.rand(rows, 2, 5, generator=generator),
        action=torch.rand(rows, 4, 2, generator=generator),
        episode=torch.zeros(rows, dtype=torch.int64),
        step=torch.arange(rows),
    )


@pytest.fixture
def observation():
    generator = torch.Generator().manual_seed(1)
    return {
        "point_cloud": torch.rand(3, 2, 8, 3, generator=generator),
        "agent_pos": torch.rand(3, 2, 5, generator=generator),
    }


@pytest.mark.parametrize("options", [{}, *({k: v} for k, v in BOTH.items()), BOTH])
def test_every_parameter_learns(options):
    policy = small_policy("improved_meanflow", **options)
    loss, diagnostics = policy.loss(_batch(), torch.Generator().manual_seed(0))
    loss.backward()
    assert all(value.isfinite() for value in diagnostics.values())
    idle = [n for n, p in policy.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_switched_off_nothing_is_there():
    plain, off = (
        small_policy("improved_meanflow"),
        small_policy("improved_meanflow", velocity_head=False, scale_input={"active": False}),
    )
    assert plain.state_dict().keys() == off.state_dict().keys()
    assert not any("velocity_head" in name or "guidance" in name for name in off.state_dict())
    assert off.null is None
    on = small_policy("improved_meanflow", **BOTH)
    shared = plain.network.state_dict()
    assert all(torch.equal(on.network.state_dict()[name], shared[name]) for name in shared)


def test_the_scale_is_chosen_per_policy_and_per_call(observation, tmp_path):
    policy = small_policy("improved_meanflow", **BOTH)
    noise = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(2))

    def act(**how):
        return policy.predict(observation, noise=noise, **how)

    assert torch.equal(act(), act(guidance_scale=2.0))
    assert (act(guidance_scale=5.0) - act()).abs().max() > 1e-4
    save_policy(policy, tmp_path)
    again = mfpolicy.load_policy(tmp_path).predict(observation, noise=noise)
    assert torch.equal(again, act())
    with pytest.raises(ConfigError, match=r"guidance_scale must be in \[1, 8"):
        act(guidance_scale=0.5)


def test_the_head_costs_nothing_when_the_policy_acts(observation):
    policy, calls = small_policy("improved_meanflow", **BOTH), []
    policy.network.velocity_head.register_forward_hook(lambda *_: calls.append(1))
    policy.predict(observation)
    assert calls == []
    policy.loss(_batch(), torch.Generator().manual_seed(0))
    assert calls


def test_the_network_with_both_is_differentiable_in_forward_mode():
    network = small_policy("improved_meanflow", **BOTH).network.double()
    generator = torch.Generator().manual_seed(0)
    z, v = torch.randn(2, 6, 4, 2, dtype=torch.float64, generator=generator)
    t = torch.rand(6, dtype=torch.float64, generator=generator) * 0.8 + 0.1
    condition = torch.randn(6, network.condition_dim, dtype=torch.float64, generator=generator)
    guidance = torch.tensor([[3.0, 0.2, 0.9]], dtype=torch.float64).expand(6, 3)
    prepared = network.guide(network.prepare(condition), guidance)
    tangents = (v, torch.zeros_like(t), torch.ones_like(t))
    _, (dudt, dvdt) = torch.func.jvp(
        lambda z, r, t: network.with_velocity(z, r, t, prepared)[:2], (z, t / 2, t), tangents
    )
    d = 1e-6
    ahead = network.with_velocity(z + d * v, t / 2, t + d, prepared)
    behind = network.with_velocity(z - d * v, t / 2, t - d, prepared)
    for derivative, more, less in zip((dudt, dvdt), ahead, behind, strict=False):
        torch.testing.assert_close(derivative, (more - less) / (2 * d), rtol=1e-3, atol=1e-6)
    u, hidden = network.features(z, t / 2, t, prepared)
    assert torch.equal(u, network.with_velocity(z, t / 2, t, prepared)[0])
    assert all(
        torch.equal(a, b)
        for a, b in zip(hidden, network.with_velocity(z, t / 2, t, prepared)[2], strict=True)
    )


def test_the_options_have_their_defaults_in_the_configuration():
    from mfpolicy.config import compose

    words = ["task=a/b", "data=d", "out=o", "objective=improved_meanflow"]
    chosen = compose("train", words).objective
    assert chosen["velocity_head"] is False
    assert chosen["scale_input"]["active"] is False
    assert "velocity_head" not in compose_preset("mp1").objective
