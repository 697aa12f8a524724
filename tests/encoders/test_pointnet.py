"""The critical-point form of PointNet is the plain one, in value and in gradient."""

import pytest
import torch

from mfpolicy.encoders import PointNet
from mfpolicy.errors import ConfigError


def _run(encoder: PointNet, clouds: torch.Tensor, *, critical: bool) -> list[torch.Tensor]:
    encoder.critical_points = critical
    feature = encoder(clouds)
    probe = torch.linspace(-1, 1, feature.numel(), dtype=feature.dtype).view_as(feature)
    return [feature, *torch.autograd.grad((feature * probe).sum(), list(encoder.parameters()))]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("points", [1, 100, 512])
def test_critical_points_change_nothing(dtype, tolerance, points):
    torch.manual_seed(0)
    encoder = PointNet(point_dim=3).to(dtype)
    clouds = torch.rand(20, points, 3, dtype=dtype)
    plain = _run(encoder, clouds, critical=False)
    critical = _run(encoder, clouds, critical=True)
    for left, right in zip(plain, critical, strict=True):
        scale = left.abs().max().clamp(min=1)
        torch.testing.assert_close(left / scale, right / scale, rtol=0, atol=tolerance)


def test_repeated_points_leave_the_gradient():
    torch.manual_seed(0)
    encoder = PointNet(point_dim=3).double()
    clouds = torch.rand(3, 50, 3, dtype=torch.float64)
    once = _run(encoder, clouds, critical=True)
    twice = _run(encoder, torch.cat([clouds, clouds], dim=1), critical=True)
    for left, right in zip(once, twice, strict=True):
        torch.testing.assert_close(left, right)


def test_a_pointnet_without_layers_is_refused():
    with pytest.raises(ConfigError, match="at least one per-point layer"):
        PointNet(point_dim=3, widths=())
