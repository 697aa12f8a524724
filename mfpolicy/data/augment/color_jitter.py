"""Another light and another camera's colors."""

from __future__ import annotations

import dataclasses

import torch

from mfpolicy.data.augment.base import AUGMENTATIONS, Augmentation, Scene
from mfpolicy.errors import ConfigError
from mfpolicy.types import Batch

MIDDLE = 127.5


@AUGMENTATIONS.register("color_jitter")
class ColorJitter(Augmentation):
    """Changes brightness, contrast and tint of the colors, one change for all frames of a window.

    Contrast scales the distance from middle grey, brightness all channels, tint each of red, green
    and blue; each factor is uniform in 1 ± its strength. Colors stay from 0 to 255. Coordinates,
    state and actions stay.

    Args:
        brightness, contrast, tint: strengths, at least 0 and below 1.

    Raises:
        ConfigError: a strength is out of range.

    Example:
        >>> ColorJitter(tint=0.0).brightness
        0.2
    """

    def __init__(
        self, *, brightness: float = 0.2, contrast: float = 0.2, tint: float = 0.05
    ) -> None:
        strengths = {"brightness": brightness, "contrast": contrast, "tint": tint}
        for name, value in strengths.items():
            if not 0 <= value < 1:
                raise ConfigError(f"augment.color_jitter.{name} must lie in [0, 1)", received=value)
        self.brightness, self.contrast, self.tint = brightness, contrast, tint

    def check(self, scene: Scene) -> None:
        """Refuses data without colors.

        Raises:
            ConfigError: points have no colors.
        """
        if not scene.color:
            raise ConfigError(
                "augment.color_jitter needs a policy that sees colors",
                received="policy.color=false",
                remedy="set policy.color=true, or switch augment.color_jitter off",
            )

    def __call__(self, batch: Batch, scene: Scene, generator: torch.Generator) -> Batch:
        """Returns the batch with other colors."""
        cloud = batch.point_cloud.clone()
        drawn = torch.rand((len(cloud), 5), generator=generator, device=cloud.device) * 2 - 1
        contrast = (1 + self.contrast * drawn[:, :1])[:, None, None]  # (B, 1, 1, 1)
        gain = (1 + self.brightness * drawn[:, 1:2]) * (1 + self.tint * drawn[:, 2:])  # (B, 3)
        colors = (cloud[..., 3:] - MIDDLE) * contrast + MIDDLE
        cloud[..., 3:] = (colors * gain[:, None, None]).clamp(0, 255)
        return dataclasses.replace(batch, point_cloud=cloud)
