"""SplitMeanFlow: exact on the flow, and MeanFlow's identity where the first part vanishes."""

import pytest
import torch

from mfpolicy.objectives import SplitMeanFlow
from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.derivative import forward_derivative
from mfpolicy.objectives.split_meanflow import split_target
from oracles.draws import MU, SIGMA, curved, draw, weights
from oracles.gaussian import Gaussian

ORACLE = Gaussian(MU, SIGMA)


@pytest.mark.parametrize("share", [1e-4, 0.1, 0.5, 0.99])
def test_on_the_flow_the_target_is_exact_at_any_split(share):
    z, r, t, _ = draw(200)
    torch.testing.assert_close(
        split_target(ORACLE, z, r, t, share), ORACLE(z, r, t), rtol=0, atol=1e-9
    )


def test_a_vanishing_first_part_gives_meanflows_residual():
    z, r, t, _ = draw(500)
    velocity = curved(weights().detach())
    u, v = velocity(z, r, t), velocity(z, t, t)
    meanflow = u - v + per_row(t - r, z) * forward_derivative(velocity, z, r, t, v)
    error = [
        ((u - split_target(velocity, z, r, t, share)) / share - meanflow).abs().mean()
        for share in (1e-2, 1e-3, 1e-4)
    ]
    assert error[0] / error[1] == pytest.approx(10, rel=0.1)
    assert error[1] / error[2] == pytest.approx(10, rel=0.1)


def test_every_row_has_a_split_of_its_own():
    z, r, t = torch.zeros(100, 1, 1), torch.zeros(100), torch.ones(100)
    starts = []

    def velocity(z, r, t):
        starts.append(r)
        return z

    generator = torch.Generator().manual_seed(0)
    SplitMeanFlow().target(velocity, z, r, t, z, generator)
    assert len(starts[0].unique()) == 100
    assert starts[0].mean() == pytest.approx(0.5, abs=0.12)
