"""bfloat16: what is rounded, and that du/dt is not."""

import json

import pytest
import torch

from mfpolicy.data import WindowDataset, open_dataset
from mfpolicy.objectives.derivative import central_derivative, forward_derivative
from mfpolicy.presets import build_policy
from mfpolicy.training import train


@pytest.fixture(scope="module")
def velocity_and_batch(dataset):
    torch.manual_seed(0)
    policy = build_policy("mp1_small", point_dim=3, state_dim=9, action_dim=4)
    windows = WindowDataset(
        open_dataset(dataset), n_obs_steps=2, horizon=4, n_action_steps=3, points=32
    )
    return policy, windows.batch(torch.arange(32))


@pytest.mark.parametrize("rule", ["forward", "central"])
def test_the_derivative_is_not_rounded(velocity_and_batch, rule):
    policy, batch = velocity_and_batch
    generator = torch.Generator().manual_seed(1)
    z, tangent = torch.randn(2, 32, 4, 4, generator=generator)
    r, t = torch.full((32,), 0.2), torch.full((32,), 0.7)

    def derivative(*, low: bool) -> torch.Tensor:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=low):
            if rule == "forward":
                return forward_derivative(velocity, z, r, t, tangent)
            return central_derivative(velocity, z, r, t, tangent, step=5e-3)

    with torch.no_grad():
        velocity = policy.velocity(batch)
    assert torch.equal(derivative(low=True), derivative(low=False))


def test_what_the_derivative_takes_is_in_full_precision(velocity_and_batch):
    policy, batch = velocity_and_batch
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        velocity = policy.velocity(batch)
        u = velocity(torch.zeros(32, 4, 4), torch.zeros(32), torch.ones(32))
    assert velocity.prepared.dtype == velocity.condition.dtype == torch.float32
    assert u.dtype == torch.bfloat16


def test_the_gradient_is_that_of_float32_but_for_rounding(velocity_and_batch):
    policy, batch = velocity_and_batch

    def gradient(*, low: bool) -> torch.Tensor:
        policy.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            loss, _ = policy.loss(batch, torch.Generator().manual_seed(0))
        loss.backward()
        parts = [p.grad.flatten() for p in policy.parameters() if p.grad is not None]
        assert all(part.dtype == torch.float32 for part in parts)
        return torch.cat(parts)

    full, low = gradient(low=False), gradient(low=True)
    assert torch.nn.functional.cosine_similarity(full, low, dim=0) > 0.995
    assert not torch.equal(full, low)


def test_training_in_bfloat16_learns_as_in_float32(configure, tmp_path):
    def late_error(precision: str) -> float:
        words = (f"training.precision={precision}", f"out={tmp_path / precision}")
        run = train(configure(*words, "training.steps=120", "training.log_every=60")).run
        return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["mse"]

    assert late_error("bfloat16") == pytest.approx(late_error("float32"), rel=0.1)
