"""What an evaluation may change: in what is seen of the world, or in the world itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envs.perturbations.base import PERTURBATIONS, Perturbation
from envs.perturbations.camera_shift import CameraShift
from envs.perturbations.camera_view import CameraView
from envs.perturbations.cloud_noise import CloudNoise
from envs.perturbations.missing_points import MissingPoints
from envs.perturbations.object_range import ObjectRange

__all__ = [
    "PERTURBATIONS",
    "CameraShift",
    "CameraView",
    "CloudNoise",
    "MissingPoints",
    "ObjectRange",
    "Perturbation",
    "build",
    "names",
]

NONE = "none"
"""The name of no perturbation."""

names = PERTURBATIONS.names


def build(options: Mapping[str, Any] | None) -> Perturbation | None:
    """The perturbation of a mapping; None where nothing is changed.

    Args:
        options: registered name under ``name``, and its options; None or the name ``none`` is no
            perturbation, and so is one whose number changes nothing.

    Raises:
        ConfigError: there is no such perturbation, no such option, or a value cannot be.

    Example:
        >>> build({"name": "camera_shift", "distance_cm": 3}).to_dict()
        {'name': 'camera_shift', 'distance_cm': 3.0}
        >>> build({"name": "camera_shift", "distance_cm": 0}) is None
        True
    """
    if options is None or options.get("name") == NONE:
        return None
    rest = {key: value for key, value in options.items() if key != "name"}
    perturbation = PERTURBATIONS.build(str(options.get("name", "")), **rest)
    return None if perturbation.off else perturbation
