"""A training step with its shortcuts has the gradient of the plain one, and of MP1's own."""

import math

import pytest
import torch

from benchmarks.training.reference import ReferencePolicy
from benchmarks.training.step_shortcuts import WITHOUT
from mfpolicy.config import compose_preset
from mfpolicy.data import WindowDataset, open_dataset
from mfpolicy.deployment.importing.reference_names import padded_state
from mfpolicy.policy import Policy
from mfpolicy.presets import policy_spec
from mfpolicy.types import Batch
from oracles.demonstrations import ACTION_DIM, POINTS, STATE_DIM

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)]
)
WIDTHS, ROWS, FRAMES = (16, 24, 32), 24, 18


def _policy(dtype: torch.dtype) -> Policy:
    config = compose_preset("mp1", [f"network.widths={list(WIDTHS)}", f"policy.points={POINTS}"])
    sizes = {"point_dim": 3, "state_dim": STATE_DIM, "action_dim": ACTION_DIM}
    torch.manual_seed(0)
    policy = Policy(policy_spec(config, **sizes)).to(dtype)
    frequencies = torch.arange(64, dtype=dtype) / 63 * -math.log(1e4)
    policy.network.time.sinusoids.frequencies = frequencies.exp()  # not rounded to float32
    return policy


def _batch(dtype: torch.dtype) -> Batch:
    """Overlapping windows of a few frames, as a large batch of a small dataset has them."""
    generator = torch.Generator().manual_seed(1)
    options = {"dtype": dtype, "generator": generator}
    last = torch.randint(0, FRAMES, (ROWS,), generator=generator)
    frame = torch.stack([(last - 1).clamp(min=0), last], dim=1)
    return Batch(
        point_cloud=torch.rand(FRAMES, POINTS, 3, **options)[frame],
        agent_pos=torch.rand(FRAMES, STATE_DIM, **options)[frame],
        action=torch.rand(ROWS, 4, ACTION_DIM, **options),
        episode=torch.zeros(ROWS, dtype=torch.int64),
        step=last,
        frame=frame,
    )


def _gradient(policy: Policy, batch: Batch) -> dict[str, torch.Tensor]:
    """The loss and the gradient by parameter; of a padded kernel the gradient of its live taps."""
    loss, _ = policy.loss(batch, torch.Generator().manual_seed(2))
    loss.backward()
    found = {"loss": loss.detach()}
    for place, module in policy.named_modules():
        live = getattr(module, "live", None)
        for name, parameter in module.named_parameters(place, recurse=False):
            gradient = parameter.grad
            if live is not None and name.endswith("weight"):
                dead = gradient.clone()
                dead[:, :, live] = 0
                assert not dead.any()
                gradient = gradient[:, :, live]
            found[name] = gradient
    return found


def _assert_close(one: dict, other: dict, tolerance: float) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        scale = value.abs().max().clamp(min=1)
        torch.testing.assert_close(
            other[name] / scale, value / scale, rtol=0, atol=tolerance, msg=name
        )


@PRECISIONS
@pytest.mark.parametrize("names", [*((name,) for name in WITHOUT), tuple(WITHOUT)])
def test_without_a_shortcut_the_gradient_is_the_same(dtype, tolerance, names):
    batch = _batch(dtype)
    plain = _policy(dtype)
    for name in names:
        WITHOUT[name](plain)
    _assert_close(_gradient(plain, batch), _gradient(_policy(dtype), batch), tolerance)


@PRECISIONS
def test_loss_and_gradient_are_those_of_mp1(dtype, tolerance):
    """Its published form with our weights and our draws."""
    policy, batch = _policy(dtype), _batch(dtype)
    reference = ReferencePolicy(state_dim=STATE_DIM, action_dim=ACTION_DIM, widths=WIDTHS).to(dtype)
    reference.load_state_dict(padded_state(policy))
    at = policy.objective.draw(
        policy.velocity(batch), batch.action, torch.Generator().manual_seed(2)
    )
    t = at.t[:, None, None]
    noise = (at.z - (1 - t) * batch.action) / t
    loss = reference.loss(batch, noise.detach(), at.r, at.t)
    loss.backward()
    found = _gradient(policy, batch)
    torch.testing.assert_close(found["loss"], loss.detach(), rtol=0, atol=tolerance)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            parameter.copy_(found[name])
    ours = padded_state(policy)
    theirs = {name: parameter.grad for name, parameter in reference.named_parameters()}
    for name, gradient in theirs.items():  # dead taps: zero in ours, and to be zero in theirs
        scale = gradient.abs().max().clamp(min=1)
        torch.testing.assert_close(
            ours[name] / scale, gradient / scale, rtol=0, atol=tolerance, msg=name
        )


def test_the_derivative_pass_leaves_no_graph():
    """Everything that is kept for the backward pass belongs to the one pass of the prediction."""
    policy, batch = _policy(torch.float32), _batch(torch.float32)

    def kept() -> int:
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: sizes.append(tensor.numel()), lambda _: None
        ):
            policy.objective.target(*arguments)
        return sum(sizes)

    at = policy.objective.draw(
        policy.velocity(batch), batch.action, torch.Generator().manual_seed(2)
    )
    arguments = (at.velocity, at.z, at.r, at.t, at.v)
    assert kept() == 0
    WITHOUT["derivative without graph"](policy)
    assert kept() > 0


def test_streamed_data_give_the_gradient_of_data_in_memory(dataset):
    sizes = {"n_obs_steps": 2, "horizon": 4, "n_action_steps": 3}
    loaded = WindowDataset(open_dataset(dataset), **sizes)
    streamed = WindowDataset(open_dataset(dataset), **sizes, memory_budget_bytes=12_000)
    assert (loaded.streamed, streamed.streamed) == (False, True)
    rows = torch.randperm(len(loaded), generator=torch.Generator().manual_seed(3))[:40]
    ours, theirs = (
        _gradient(_policy(torch.float32), windows.batch(rows)) for windows in (loaded, streamed)
    )
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
