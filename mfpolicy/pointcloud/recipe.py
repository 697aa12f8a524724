"""`PointCloudRecipe`: how a point cloud is made, as data that goes with datasets and policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from mfpolicy.errors import DataError, did_you_mean

SAMPLINGS = ("fps",)
FRAMES = ("world",)
_ADDED = ("camera_orientation", "hidden_bodies")
_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class PointCloudRecipe:
    """How a point cloud is made, in full: what a robot must repeat to see what the policy saw.

    Attributes:
        camera: name of the camera in the scene.
        camera_position: its position in the world frame, metres.
        image_size: side of the square depth image, pixels; 0 for a robot's camera, whose images
            have a size of their own.
        crop_min, crop_max: corners of the box that is kept, world frame, metres.
        points: P, points of a cloud.
        sampling: how P points are chosen; ``fps`` is farthest-point sampling.
        frame: the frame of the points; ``world``.
        camera_orientation: unit quaternion (w, x, y, z) that turns the axes of a MuJoCo camera (x
            right, y up, looking along -z) to the world's; None leaves the scene's own.
        hidden_bodies: names of bodies whose geoms this camera does not see.

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
    camera_orientation: tuple[float, float, float, float] | None = None
    hidden_bodies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("camera_position", "crop_min", "crop_max"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name), "three"))
        if self.camera_orientation is not None:
            quaternion = _numbers("camera_orientation", self.camera_orientation, "four")
            if abs(np.linalg.norm(quaternion) - 1) > _UNIT_TOLERANCE:
                raise DataError(
                    "camera_orientation must be a quaternion of length 1", received=quaternion
                )
            object.__setattr__(self, "camera_orientation", quaternion)
        object.__setattr__(self, "hidden_bodies", _names("hidden_bodies", self.hidden_bodies))
        for name, least in (("image_size", 0), ("points", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise DataError(f"{name} must be a whole number, at least {least}", received=value)
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
        """The recipe as JSON-able values (tuples become lists).

        Keys that earlier versions did not write are left out where they say nothing, so that an
        unchanged recipe equals the one on record.
        """
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            if not (key in _ADDED and value in (None, ()))
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


def _numbers(name: str, value: object, count: Literal["three", "four"]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(number) for number in value)  # type: ignore[union-attr]
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != {"three": 3, "four": 4}[count]:
        raise DataError(f"{name} must be {count} numbers", received=value)
    if not np.isfinite(numbers).all():
        raise DataError(f"{name} must be finite", received=value)
    return numbers


def _names(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise DataError(f"{name} must be a list of names", received=value)
    return tuple(value)
