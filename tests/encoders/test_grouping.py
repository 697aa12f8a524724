"""Centres cover a cloud as the sampler of clouds has it; groups are the nearest points."""

import numpy as np
import pytest
import torch

from mfpolicy.encoders import PointTransformer, SetAbstraction
from mfpolicy.encoders.grouping import choose_centers, group
from mfpolicy.errors import ConfigError
from mfpolicy.pointcloud import sample


def _clouds(points: int, dim: int = 3) -> torch.Tensor:
    return torch.rand(3, points, dim, generator=torch.Generator().manual_seed(points))


@pytest.mark.parametrize("count", [1, 7, 60])
def test_farthest_centers_are_those_of_the_sampler(count):
    clouds = _clouds(60, dim=5)
    places = choose_centers(clouds, count, "farthest")
    for cloud, chosen in zip(clouds, places, strict=True):
        np.testing.assert_array_equal(cloud[chosen].numpy(), sample(cloud.numpy(), count))


def test_a_cloud_of_fewer_points_than_centers_is_gone_through_again():
    clouds = _clouds(3)
    for how in ("farthest", "first"):
        places = choose_centers(clouds, 8, how)
        assert torch.equal(places[:, 3:6], places[:, :3])
        assert all(len(set(row.tolist())) == 3 for row in places)


def test_a_group_is_the_nearest_points_seen_from_the_center():
    clouds = _clouds(50, dim=6)
    places = choose_centers(clouds, 4, "first")
    middle, groups = group(clouds, places, 5)
    assert torch.equal(middle, clouds[:, :4, :3])
    apart = (middle[:, :, None] - clouds[:, None, :, :3]).norm(dim=-1)
    nearest = apart.topk(5, largest=False).values
    found = groups[..., :3].norm(dim=-1).sort().values
    torch.testing.assert_close(found, nearest, rtol=0, atol=1e-6)
    colors = {tuple(row) for row in clouds[0, :, 3:].tolist()}
    assert {tuple(row) for row in groups[0].flatten(0, 1)[:, 3:].tolist()} <= colors


@pytest.mark.parametrize("kind", [SetAbstraction, PointTransformer])
def test_first_points_as_centers_are_the_farthest_where_the_cloud_is_so_ordered(kind):
    torch.manual_seed(0)
    plain = kind(point_dim=3)
    fast = kind(point_dim=3, centers="first")
    fast.load_state_dict(plain.state_dict())
    clouds = _clouds(200)
    ordered = torch.stack([torch.from_numpy(sample(cloud.numpy(), 200)) for cloud in clouds])
    torch.testing.assert_close(fast(ordered), plain(ordered))
    assert not fast.ignores_order
    assert not torch.allclose(fast(ordered.flip(1)), fast(ordered))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: SetAbstraction(point_dim=3, counts=(4,)), "one value a level"),
        (lambda: SetAbstraction(point_dim=3, counts=(4, 8)), "fall"),
        (lambda: SetAbstraction(point_dim=3, widths=(1, 2, 3)), "widths"),
        (lambda: SetAbstraction(point_dim=3, neighbours=(0, 8)), "neighbours"),
        (lambda: PointTransformer(point_dim=3, centers="frist"), "did you mean 'first'"),
        (lambda: PointTransformer(point_dim=3, heads=3), "heads must divide"),
    ],
)
def test_options_that_do_not_fit_are_refused(build, words):
    with pytest.raises(ConfigError, match=words):
        build()
