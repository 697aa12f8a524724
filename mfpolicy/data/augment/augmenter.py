"""The augmentations of a run, one after another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch

from mfpolicy.data.augment.base import AUGMENTATIONS, Augmentation, Scene, first_of
from mfpolicy.types import Batch


class Augmenter:
    """Applies augmentations in their order.

    Args:
        augmentations: by name.
        scene: the data.

    Raises:
        ConfigError: one of them cannot be applied to such data.
    """

    def __init__(self, augmentations: Mapping[str, Augmentation], scene: Scene) -> None:
        self.augmentations, self.scene = dict(augmentations), scene
        for augmentation in self.augmentations.values():
            augmentation.check(scene)

    def __call__(self, batch: Batch, generator_of: Callable[[str], torch.Generator]) -> Batch:
        """Returns the batch changed, its frames numbered anew.

        Two windows no longer share a frame of the data, which each shows changed in its own way;
        a frame that a window repeats keeps one number.

        Args:
            batch: in environment units.
            generator_of: name of an augmentation → its generator, on the batch's device. Each has
                one of its own, so that what one draws does not depend on which others are on.
        """
        for name, augmentation in self.augmentations.items():
            batch = augmentation(batch, self.scene, generator_of(name))
        if batch.frame is None:
            return batch
        windows, frames = batch.frame.shape
        window = torch.arange(windows, device=batch.frame.device)[:, None]
        return dataclasses.replace(batch, frame=window * frames + first_of(batch.frame))


def build_augmenter(options: Mapping[str, Mapping[str, Any]], scene: Scene) -> Augmenter | None:
    """Builds the augmentations that are switched on; None where none is.

    Args:
        options: by registered name, ``enabled`` and the options of the augmentation, in the order
            in which they are applied.
        scene: the data.

    Raises:
        ConfigError: a name or an option does not exist, a value is out of range, or an
            augmentation cannot be applied to such data.
    """
    chosen = {
        name: AUGMENTATIONS.build(name, **{k: v for k, v in own.items() if k != "enabled"})
        for name, own in options.items()
        if own.get("enabled")
    }
    return Augmenter(chosen, scene) if chosen else None
