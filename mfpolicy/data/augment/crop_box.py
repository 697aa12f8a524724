"""A smaller crop box, as a robot whose box is set otherwise, or an occluder, has it."""

from __future__ import annotations

import dataclasses

import torch

from mfpolicy.data.augment.base import (
    AUGMENTATIONS,
    Augmentation,
    Scene,
    in_turns,
    of_parts,
    refilled,
)
from mfpolicy.errors import ConfigError
from mfpolicy.types import Batch


@AUGMENTATIONS.register("crop_box")
class CropBox(Augmentation):
    """Keeps the points inside a random box, one for all frames of a window.

    The box lies within that of all points of the data; each of its sides is a share of theirs,
    uniform from ``min_side`` to 1, at a place that is uniform too. A window of which a frame would
    keep a smaller share of its points than ``min_points`` stays whole, so that no cloud is empty.
    The kept points are repeated in their order, where clouds are kept apart those of each. State
    and actions stay.

    Args:
        min_side: smallest share of a side, above 0 and at most 1.
        min_points: smallest share of points that each frame must keep, above 0 and at most 1.

    Raises:
        ConfigError: a share is out of range.

    Example:
        >>> CropBox(min_side=0.7).min_points
        0.5
    """

    def __init__(self, *, min_side: float = 0.7, min_points: float = 0.5) -> None:
        for name, value in (("min_side", min_side), ("min_points", min_points)):
            if not 0 < value <= 1:
                raise ConfigError(f"augment.crop_box.{name} must lie in (0, 1]", received=value)
        self.min_side, self.min_points = min_side, min_points

    def __call__(self, batch: Batch, scene: Scene, generator: torch.Generator) -> Batch:
        """Returns the batch with other clouds."""
        cloud = batch.point_cloud
        drawn = torch.rand((2, len(cloud), 3), generator=generator, device=cloud.device)
        side = self.min_side + (1 - self.min_side) * drawn[0]  # (B, 3), shares of the whole box
        start = (1 - side) * drawn[1]
        whole = scene.high - scene.low
        low = (scene.low + start * whole)[:, None, None]  # (B, 1, 1, 3)
        high = (scene.low + (start + side) * whole)[:, None, None]
        xyz = cloud[..., :3]
        inside = of_parts(((xyz >= low) & (xyz <= high)).all(-1), scene.parts)  # (B, To, K, P / K)
        least = max(1.0, self.min_points * inside.shape[-1])
        enough = (inside.sum(-1) >= least).all((1, 2))  # (B,)
        kept = refilled(of_parts(cloud, scene.parts), inside | ~enough[:, None, None, None])
        return dataclasses.replace(batch, point_cloud=in_turns(kept))
