"""Centres of a point cloud and the points around them, in tensor operations that can be exported.

Which points are chosen has no gradient; what is computed from them has.
"""

from __future__ import annotations

import torch

from mfpolicy.options import check_choice, check_whole

CENTERS = ("farthest", "first")


def check_groups(centers: str, count: int, neighbours: int) -> None:
    """Refuses what no groups can be made of.

    Raises:
        ConfigError: an unknown choice of centres, or a number below 1.
    """
    check_choice("centers", centers, CENTERS)
    check_whole("the number of centres", count, 1, 65_536)
    check_whole("the number of neighbours", neighbours, 1, 65_536)


def at_least(points: torch.Tensor, count: int) -> torch.Tensor:
    """Repeats clouds (F, P, C) cyclically until they have ``count`` points."""
    times = -(-count // points.shape[1])
    return points if times <= 1 else points.repeat(1, times, 1)


@torch.no_grad()
def choose_centers(points: torch.Tensor, count: int, how: str) -> torch.Tensor:
    """Returns the places (F, count) of the centres of clouds (F, P, C), xyz first.

    ``farthest``: farthest-point sampling (Eldar et al. 1997), from the point farthest from the
    corner 2·min − max on, as :func:`mfpolicy.pointcloud.sample` has it: the choice depends on the
    set of points alone. Where that is smaller than ``count``, it is gone through again.

    ``first``: the first points, which is free, and for clouds in the order of that function the
    same kind of cover; it depends on the order.

    Example:
        >>> line = torch.tensor([[[x, 0.0, 0.0] for x in range(5)]])
        >>> choose_centers(line, 3, "farthest").tolist()
        [[4, 0, 2]]
    """
    frames, available, _ = points.shape
    if how == "first":
        return (torch.arange(count, device=points.device) % available).expand(frames, count)
    xyz = points[..., :3]
    anchor = 2 * xyz.amin(dim=1, keepdim=True) - xyz.amax(dim=1, keepdim=True)
    place = _squared(xyz, anchor).argmax(dim=1, keepdim=True)  # (F, 1)
    chosen, reaches = [place], []
    distance = _squared(xyz, _take(xyz, place))
    for _ in range(count - 1):
        reach, place = distance.max(dim=1, keepdim=True)
        chosen.append(place)
        reaches.append(reach)
        distance = torch.minimum(distance, _squared(xyz, _take(xyz, place)))
    places = torch.cat(chosen, dim=1)
    if not reaches:
        return places
    # once every point is chosen, whichever comes first in the cloud would be taken again and again
    distinct = 1 + (torch.cat(reaches, dim=1) > 0).sum(dim=1, keepdim=True)
    return places.gather(1, torch.arange(count, device=points.device) % distinct)


def group(
    points: torch.Tensor, centers: torch.Tensor, neighbours: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Takes the nearest points of every centre out of clouds that have at least so many.

    Args:
        points: (F, P, C), xyz first.
        centers: places (F, K), as :func:`choose_centers` returns them.
        neighbours: k, the centre itself among them.

    Returns:
        The centres' positions (F, K, 3), and the groups (F, K, k, C), whose xyz are those from
        their centre.
    """
    middle = _take(points[..., :3], centers)
    with torch.no_grad():
        apart = torch.zeros((), device=points.device)
        for axis in range(3):  # by axis: a tensor of all differences would be three times as large
            apart = apart + (middle[:, :, None, axis] - points[:, None, :, axis]).square()
        near = apart.topk(neighbours, dim=2, largest=False, sorted=False).indices  # (F, K, k)
    groups = _take(points, near.flatten(1)).unflatten(1, near.shape[1:])
    offset = groups[..., :3] - middle[:, :, None]
    return middle, torch.cat([offset, groups[..., 3:]], dim=-1)


def _take(points: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """(F, P, C) at places (F, K) → (F, K, C)."""
    return points.gather(1, places[:, :, None].expand(-1, -1, points.shape[2]))


def _squared(xyz: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
    """Squared distances of (F, P, 3) to (F, 1, 3), (F, P)."""
    return (xyz - point).square().sum(dim=2)
