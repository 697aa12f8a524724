"""Noise on every point, as a depth camera has it."""

from __future__ import annotations

import dataclasses

import torch

from mfpolicy.data.augment.base import AUGMENTATIONS, Augmentation, Scene, once_a_frame
from mfpolicy.options import check_range
from mfpolicy.types import Batch


@AUGMENTATIONS.register("jitter")
class Jitter(Augmentation):
    """Adds independent Gaussian noise to x, y, z of every point (Qi et al., PointNet, 2017).

    The frames of a window have noise of their own, as pictures of a camera do. State, actions and
    colors stay.

    Args:
        std_m: standard deviation of each coordinate, metres; at most 1.

    Raises:
        ConfigError: the deviation is out of range.

    Example:
        >>> Jitter(std_m=0.002).std_m
        0.002
    """

    def __init__(self, *, std_m: float = 0.002) -> None:
        check_range("augment.jitter.std_m", std_m, 0, 1)
        self.std_m = std_m

    def __call__(self, batch: Batch, scene: Scene, generator: torch.Generator) -> Batch:
        """Returns the batch with other clouds."""
        cloud = batch.point_cloud.clone()
        xyz = cloud[..., :3]
        noise = torch.randn(xyz.shape, generator=generator, device=xyz.device)
        xyz += self.std_m * once_a_frame(noise, batch.frame)
        return dataclasses.replace(batch, point_cloud=cloud)
