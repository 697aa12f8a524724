"""Small trained-looking policies on disk, and one that is exported once for all tests."""

import dataclasses
from typing import Any

import pytest
import torch

from deployment.export.known_graphs import export_known
from mfpolicy.data.normalizer import ChannelNormalizer, Normalizer
from mfpolicy.policy import Policy, save_policy
from oracles.small_policy import small_policy

RECIPE = {
    "camera": "top",
    "camera_position": [0.0, 0.0, 1.0],
    "image_size": 32,
    "crop_min": [-1.0, -1.0, 0.0],
    "crop_max": [1.0, 1.0, 1.0],
    "points": 8,
}


SMALLEST = {"name": "mlp_mixer", "width": 8, "depth": 1, "step_hidden": 8, "time_dim": 8}
"""Its graph has the fewest nodes, for tests of what is around the network."""
UNET = {"name": "unet1d", "widths": [8, 8], "groups": 2, "time_dim": 8}


def policy_of(objective: str, *, network: dict[str, Any] = UNET, **options) -> Policy:
    """With eight channels, and a normaliser that is not the identity."""
    spec = dataclasses.replace(
        small_policy(objective, **options).spec,
        encoder={"name": "pointnet", "widths": [8], "output_dim": 8},
        network=network,
        task="suite/task",
        control_rate_hz=20.0,
        recipe=RECIPE,
    )

    def channels(low: list[float], high: list[float]) -> ChannelNormalizer:
        return ChannelNormalizer.from_min_max(torch.tensor(low), torch.tensor(high))

    normalizer = Normalizer(
        channels([-1.0, -1.0, 0.0], [1.0, 1.0, 0.5]),
        channels([0.0] * 5, [1.0, 2.0, 3.0, 4.0, 0.0]),
        channels([-1.0, 10.0], [1.0, 40.0]),
    )
    torch.manual_seed(1)
    return Policy(spec, normalizer).eval()


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run folder with a policy."""
    folder = tmp_path_factory.mktemp("run")
    save_policy(policy_of("meanflow"), folder)
    return folder


@pytest.fixture(scope="session")
def exported(run):
    """Report of its export as ONNX, in the run folder."""
    return export_known(run)


@pytest.fixture
def observation():
    """Three observations within the range of the data, and their noise."""
    drawn = torch.Generator().manual_seed(2)
    cloud = torch.rand(3, 2, 8, 3, generator=drawn)
    state = torch.rand(3, 2, 5, generator=drawn)
    noise = torch.randn(3, 4, 2, generator=drawn)
    return {"point_cloud": cloud.numpy(), "agent_pos": state.numpy()}, noise.numpy()
