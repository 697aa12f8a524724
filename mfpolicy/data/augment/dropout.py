"""Points left out, as a camera that sees less has them."""

from __future__ import annotations

import dataclasses

import torch

from mfpolicy.data.augment.base import (
    AUGMENTATIONS,
    Augmentation,
    Scene,
    in_turns,
    of_parts,
    once_a_frame,
    refilled,
)
from mfpolicy.errors import ConfigError
from mfpolicy.types import Batch


@AUGMENTATIONS.register("dropout")
class Dropout(Augmentation):
    """Leaves out a random share of the points (Qi et al., PointNet++, 2017).

    Each frame draws its share, uniform from 0 to ``max_share``; each of its points is left out
    with that probability, and one at least stays. The kept ones are repeated in their order, so a
    cloud has as many points as before; of clouds kept apart each does so. State and actions stay.

    Args:
        max_share: largest share that is left out; at least 0 and below 1.

    Raises:
        ConfigError: the share is out of range.

    Example:
        >>> Dropout(max_share=0.5).max_share
        0.5
    """

    def __init__(self, *, max_share: float = 0.5) -> None:
        if not 0 <= max_share < 1:
            raise ConfigError("augment.dropout.max_share must lie in [0, 1)", received=max_share)
        self.max_share = max_share

    def __call__(self, batch: Batch, scene: Scene, generator: torch.Generator) -> Batch:
        """Returns the batch with other clouds."""
        frames, device = batch.point_cloud.shape[:3], batch.point_cloud.device
        share = torch.rand((*frames[:2], 1), generator=generator, device=device) * self.max_share
        score = torch.rand(frames, generator=generator, device=device)  # (B, To, P)
        score = of_parts(score, scene.parts)  # (B, To, K, P / K)
        keep = (score >= share[..., None]) | (score == score.amax(-1, keepdim=True))
        cloud = of_parts(batch.point_cloud, scene.parts)
        kept = refilled(cloud, once_a_frame(keep, batch.frame))
        return dataclasses.replace(batch, point_cloud=in_turns(kept))
