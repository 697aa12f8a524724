"""Frames that a batch repeats are encoded once, and nothing else changes."""

import pytest
import torch

from mfpolicy import encoders
from mfpolicy.encoders import ObservationEncoder
from mfpolicy.encoders.state import StateEncoder, StateOptions

FRAMES, POINTS, STATE = 9, 40, 5


def _encoder(name: str, dtype: torch.dtype) -> ObservationEncoder:
    torch.manual_seed(0)
    cloud = encoders.build(name, point_dim=3)
    state = StateEncoder(StateOptions(), state_dim=STATE)
    return ObservationEncoder(cloud, state, n_obs_steps=2).to(dtype)


def _windows(frame: list[list[int]], dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """The clouds and states of frames chosen from a few random ones, and their numbers."""
    generator = torch.Generator().manual_seed(1)
    clouds = torch.rand(FRAMES, POINTS, 3, dtype=dtype, generator=generator)
    states = torch.rand(FRAMES, STATE, dtype=dtype, generator=generator)
    chosen = torch.tensor(frame)
    return clouds[chosen], states[chosen], chosen


REPEATED = [[0, 0], [0, 1], [1, 2], [5, 6], [1, 2], [2, 3], [7, 8]]
DISTINCT = [[0, 1], [2, 3], [8, 5]]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("name", encoders.names())
@pytest.mark.parametrize("frame", [REPEATED, DISTINCT])
def test_unique_frames_leave_condition_and_gradient(name, dtype, tolerance, frame):
    encoder = _encoder(name, dtype)
    clouds, states, numbers = _windows(frame, dtype)
    results = []
    for known in (None, numbers):
        condition = encoder(clouds, states, known)
        probe = torch.linspace(-1, 1, condition.numel(), dtype=dtype).view_as(condition)
        gradient = torch.autograd.grad((condition * probe).sum(), list(encoder.parameters()))
        results.append([condition, *gradient])
    for plain, shared in zip(*results, strict=True):
        scale = plain.abs().max().clamp(min=1)
        torch.testing.assert_close(shared / scale, plain / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("frame", "encoded"), [(REPEATED, 8), (DISTINCT, 6), ([[4, 4], [4, 4]], 1), ([[3, 3]], 1)]
)
def test_every_frame_is_encoded_once(frame, encoded):
    encoder = _encoder("pointnet", torch.float32)
    clouds, states, numbers = _windows(frame, torch.float32)
    seen = []
    encoder.cloud.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    encoder(clouds, states, numbers)
    encoder(clouds, states)
    assert seen == [encoded, numbers.numel()]


def test_the_gradient_is_the_same_bit_for_bit_every_time():
    """Many repeats of few frames: sums in another order would show."""
    encoder = _encoder("pointnet", torch.float32)
    frame = torch.randint(0, FRAMES, (2000, 2), generator=torch.Generator().manual_seed(2))
    clouds, states, numbers = _windows(frame.tolist(), torch.float32)
    probe = torch.randn(2000, encoder.output_dim, generator=torch.Generator().manual_seed(3))
    gradients = [
        torch.autograd.grad(
            (encoder(clouds, states, numbers) * probe).sum(), list(encoder.parameters())
        )
        for _ in range(3)
    ]
    for other in gradients[1:]:
        assert all(torch.equal(one, two) for one, two in zip(gradients[0], other, strict=True))
