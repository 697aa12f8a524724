"""What every augmentation offers, and what it may know of the data."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mfpolicy.registry import Registry
from mfpolicy.types import Batch, WorldVectors

AUGMENTATIONS: Registry[Augmentation] = Registry("augmentation")


@dataclass(frozen=True)
class Scene:
    """What augmentations may know of the data.

    Attributes:
        low, high: (3,) corners of the box of all points, metres, on the device that trains.
        color: whether points have colors.
        state_dim: S. action_dim: A.
        vectors: which of state and action are vectors in the world frame; None where not known.
        task: for messages.
        parts: K, clouds of cameras that lie in turns in one; each keeps its own points.
    """

    low: torch.Tensor
    high: torch.Tensor
    color: bool
    state_dim: int
    action_dim: int
    vectors: WorldVectors | None = None
    task: str | None = None
    parts: int = 1


class Augmentation:
    """A random change of training batches that leaves what they teach true."""

    def check(self, scene: Scene) -> None:
        """Refuses data that it would make false.

        Raises:
            ConfigError: it cannot be applied to such data.
        """

    def __call__(self, batch: Batch, scene: Scene, generator: torch.Generator) -> Batch:
        """Returns the batch changed; the given one stays as it is.

        Args:
            batch: in environment units; ``frame`` holds the numbers of its frames in the data.
            scene: the data, as :meth:`check` accepted it.
            generator: the only source of randomness, on the batch's device.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement __call__()")


def first_of(frame: torch.Tensor) -> torch.Tensor:
    """Returns for each frame (B, To) the place in its row where its number stands first, (B, To).

    Example:
        >>> first_of(torch.tensor([[7, 7, 8], [3, 4, 3]])).tolist()
        [[0, 0, 2], [0, 1, 0]]
    """
    same = frame[:, :, None] == frame[:, None, :]  # (B, To, To)
    return same.to(torch.uint8).argmax(dim=2)


def once_a_frame(values: torch.Tensor, frame: torch.Tensor | None) -> torch.Tensor:
    """Gives the frames that a window repeats the values of the first, (B, To, …) → (B, To, …).

    Before an episode's second step a window repeats its first frame, as an evaluation does: these
    are one picture, not two with noise of their own.
    """
    if frame is None:
        return values
    rows = torch.arange(len(frame), device=frame.device)[:, None]
    return values[rows, first_of(frame)]


def refilled(point_cloud: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Returns clouds (…, P, C) of the points to keep (…, P), repeated to P in their order.

    That is how a recipe fills up a cloud of too few points (:func:`mfpolicy.pointcloud.sample`).
    Each cloud must keep a point.

    Example:
        >>> cloud = torch.arange(4.0).view(1, 1, 4, 1)
        >>> keep = torch.tensor([[[True, False, True, False]]])
        >>> refilled(cloud, keep).flatten().tolist()
        [0.0, 2.0, 0.0, 2.0]
    """
    points = keep.shape[-1]
    place = torch.arange(points, device=keep.device).expand_as(keep)
    rank = keep.cumsum(-1)  # of a kept point among the kept ones, from 1
    slot = torch.where(keep, rank - 1, points)  # dropped points share a slot that is not read
    kept = place.new_zeros((*keep.shape[:-1], points + 1)).scatter(-1, slot, place)
    chosen = kept.gather(-1, place % rank[..., -1:])  # (…, P)
    return point_cloud.gather(-2, chosen[..., None].expand_as(point_cloud))


def of_parts(values: torch.Tensor, parts: int) -> torch.Tensor:
    """(B, To, P, …) of K clouds in turns → (B, To, K, P / K, …); :func:`in_turns` undoes it.

    Example:
        >>> of_parts(torch.arange(4).view(1, 1, 4), 2).tolist()
        [[[[0, 2], [1, 3]]]]
    """
    return values.unflatten(2, (-1, parts)).transpose(2, 3)


def in_turns(values: torch.Tensor) -> torch.Tensor:
    """(B, To, K, P / K, …) → (B, To, P, …): what :func:`of_parts` took apart."""
    return values.transpose(2, 3).flatten(2, 3)
