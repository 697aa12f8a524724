"""`PointCloudRecipe`: how a point cloud is made, as data that goes with datasets and policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

import numpy as np

from mfpolicy.errors import DataError, did_you_mean

SAMPLINGS = ("fps",)
FRAMES = ("world",)


@dataclass(frozen=True)
class PointCloudRecipe:
    """How a point cloud is made, in full: what a robot must repeat to see what the policy saw.

    Attributes:
        camera: name of the camera in the scene.
        camera_position: its position in the world frame, metres.
        image_size: side of the square depth image, pixels.
        crop_min, crop_max: corners of the box that is kept, world frame, metres.
        points: P, points of a cloud.
        sampling: how P points are chosen; ``fps`` is farthest-point sampling.
        frame: the frame of the points; ``world``.

    Raises:
        DataError: a value is missing, has the wrong size, or cannot be.

    Example:
        >>> recipe = PointCloudRecipe("top", (0, 0, 1), 84, (-1, -1, 0), (1, 1, 1), points=512)
        >>> PointCloudRecipe.from_dict(recipe.to_dict()) == recipe
        True
    """

    camera: str
    camera_position: tuple[float, float, float]
    image_size: int
    crop_min: tuple[float, float, float]
    crop_max: tuple[float, float, float]
    points: int
    sampling: str = "fps"
    frame: str = "world"

    def __post_init__(self) -> None:
        for name in ("camera_position", "crop_min", "crop_max"):
            object.__setattr__(self, name, _three_numbers(name, getattr(self, name)))
        for name in ("image_size", "points"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise DataError(f"{name} must be a whole number, at least 1", received=value)
        if not all(low < high for low, high in zip(self.crop_min, self.crop_max, strict=True)):
            raise DataError(
                "every coordinate of crop_min must be below that of crop_max",
                received={"crop_min": self.crop_min, "crop_max": self.crop_max},
            )
        for name, known in (("sampling", SAMPLINGS), ("frame", FRAMES)):
            if getattr(self, name) not in known:
                raise DataError(
                    f"{name} of a point-cloud recipe must be one of {list(known)}",
                    received=getattr(self, name),
                )

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON-able values (tuples become lists)."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PointCloudRecipe:
        """The recipe that `to_dict` wrote.

        Raises:
            DataError: a key is unknown or missing, or a value does not fit.
        """
        names = [field.name for field in fields(cls)]
        for key in values:
            if key not in names:
                raise DataError(
                    "a point-cloud recipe has no key of this name",
                    received=key,
                    remedy=did_you_mean(str(key), names),
                )
        required = [field.name for field in fields(cls) if field.default is MISSING]
        missing = [name for name in required if name not in values]
        if missing:
            raise DataError(f"a point-cloud recipe needs the keys {missing}")
        return cls(**values)


def _three_numbers(name: str, value: object) -> tuple[float, float, float]:
    try:
        x, y, z = (float(number) for number in value)  # type: ignore[union-attr]
    except (TypeError, ValueError):
        raise DataError(f"{name} must be three numbers", received=value) from None
    if not np.isfinite((x, y, z)).all():
        raise DataError(f"{name} must be finite", received=value)
    return x, y, z
