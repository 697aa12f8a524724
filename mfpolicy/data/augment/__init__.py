"""Augmentations: training batches changed at random, on the device that trains.

Each is a file that registers in ``AUGMENTATIONS`` and a block below ``augment`` in
``configs/train.yaml``. They change batches in environment units, before the normaliser, and draw
from generators that are functions of the run's seed and step, so a resume repeats them. What must
hold within a window holds: one rotation, one step, one box and one light for all its frames, and a
frame that a window repeats stays the same frame.

Example:
    >>> from mfpolicy.data import augment
    >>> augment.names()
    ['color_jitter', 'crop_box', 'dropout', 'jitter', 'rotation', 'translation']
"""

from mfpolicy.data.augment.augmenter import Augmenter, build_augmenter
from mfpolicy.data.augment.base import AUGMENTATIONS, Augmentation, Scene
from mfpolicy.data.augment.color_jitter import ColorJitter
from mfpolicy.data.augment.crop_box import CropBox
from mfpolicy.data.augment.dropout import Dropout
from mfpolicy.data.augment.jitter import Jitter
from mfpolicy.data.augment.rotation import Rotation
from mfpolicy.data.augment.translation import Translation

names = AUGMENTATIONS.names

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "Augmenter",
    "ColorJitter",
    "CropBox",
    "Dropout",
    "Jitter",
    "Rotation",
    "Scene",
    "Translation",
    "build_augmenter",
    "names",
]
