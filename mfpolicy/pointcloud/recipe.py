"""`PointCloudRecipe`: how a point cloud is made, as data that goes with datasets and policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from mfpolicy.errors import DataError, did_you_mean
from mfpolicy.types import APART, CLOUDS, MERGED

SAMPLINGS = ("fps",)
FRAMES = ("world",)
_ADDED = ("camera_orientation", "hidden_bodies", "further_cameras", "clouds")
_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class CameraView:
    """A camera of a recipe: its name and its place, as in :class:`PointCloudRecipe`.

    Raises:
        DataError: a value has the wrong size, or cannot be.
    """

    camera: str
    camera_position: tuple[float, float, float]
    camera_orientation: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        _set_pose(self)


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
        further_cameras: cameras beside the first, in their order, each a :class:`CameraView` (or a
            mapping of its attributes); image size and hidden bodies are the first one's.
        clouds: of several cameras. ``merged``: their points are joined, then sampled. ``apart``:
            each camera's points are sampled to P/K by themselves, and lie in turns: point i is of
            camera i mod K, so that a prefix of the cloud is a prefix of each camera's.

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
    further_cameras: tuple[CameraView, ...] = ()
    clouds: str = MERGED

    def __post_init__(self) -> None:
        _set_pose(self)
        for name in ("crop_min", "crop_max"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name), "three"))
        object.__setattr__(self, "hidden_bodies", _names("hidden_bodies", self.hidden_bodies))
        object.__setattr__(self, "further_cameras", _further(self.further_cameras))
        for name, least in (("image_size", 0), ("points", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise DataError(f"{name} must be a whole number, at least {least}", received=value)
        if not all(low < high for low, high in zip(self.crop_min, self.crop_max, strict=True)):
            raise DataError(
                "every coordinate of crop_min must be below that of crop_max",
                received={"crop_min": self.crop_min, "crop_max": self.crop_max},
            )
        for name, known in (("sampling", SAMPLINGS), ("frame", FRAMES), ("clouds", CLOUDS)):
            if getattr(self, name) not in known:
                raise DataError(
                    f"{name} of a point-cloud recipe must be one of {list(known)}",
                    received=getattr(self, name),
                )
        self._check_cameras()

    def _check_cameras(self) -> None:
        names = [view.camera for view in self.views]
        if len(set(names)) < len(names):
            raise DataError(
                "each camera of a point-cloud recipe must be named once",
                received=names,
                remedy="leave out the one that is there twice",
            )
        if self.clouds == APART and len(names) == 1:
            raise DataError(
                "clouds=apart needs two cameras at least",
                received=names,
                remedy="name the cameras, or leave clouds at merged",
            )
        self.check_points(self.points)

    def check_points(self, points: int) -> None:
        """Refuses a number of points that cannot be divided among clouds that are kept apart.

        Raises:
            DataError: it is no multiple of the number of cameras.
        """
        if odd := points % self.parts:
            nearest = max(points - odd, self.parts)
            raise DataError(
                "points of clouds kept apart must be a multiple of the number of cameras",
                received=f"{points} points, {self.parts} cameras",
                remedy=f"take {nearest} points",
            )

    @property
    def views(self) -> tuple[CameraView, ...]:
        """Every camera, in the order of their clouds."""
        first = CameraView(self.camera, self.camera_position, self.camera_orientation)
        return (first, *self.further_cameras)

    @property
    def parts(self) -> int:
        """K, the clouds that lie in turns in one: of each camera where they are kept apart."""
        return len(self.views) if self.clouds == APART else 1

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON-able values (tuples become lists).

        Keys that earlier versions did not write are left out where they say nothing, so that an
        unchanged recipe equals the one on record.
        """
        return {
            key: _plain(value)
            for key, value in asdict(self).items()
            if not (key in _ADDED and value in (None, (), MERGED))
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PointCloudRecipe:
        """The recipe that `to_dict` wrote.

        Raises:
            DataError: a key is unknown or missing, or a value does not fit.
        """
        _check_keys(cls, values, "a point-cloud recipe")
        return cls(**values)


def _check_keys(kind: type, values: Mapping[str, Any], what: str) -> None:
    names = [field.name for field in fields(kind)]
    for key in values:
        if key not in names:
            raise DataError(
                f"{what} has no key of this name",
                received=key,
                remedy=did_you_mean(str(key), names),
            )
    required = [field.name for field in fields(kind) if field.default is MISSING]
    missing = [name for name in required if name not in values]
    if missing:
        raise DataError(f"{what} needs the keys {missing}")


def _set_pose(view: CameraView | PointCloudRecipe) -> None:
    if not isinstance(view.camera, str):
        raise DataError("camera must be the name of a camera", received=view.camera)
    position = _numbers("camera_position", view.camera_position, "three")
    object.__setattr__(view, "camera_position", position)
    if view.camera_orientation is not None:
        quaternion = _numbers("camera_orientation", view.camera_orientation, "four")
        if abs(np.linalg.norm(quaternion) - 1) > _UNIT_TOLERANCE:
            raise DataError(
                "camera_orientation must be a quaternion of length 1", received=quaternion
            )
        object.__setattr__(view, "camera_orientation", quaternion)


def _further(value: object) -> tuple[CameraView, ...]:
    if not isinstance(value, list | tuple):
        raise DataError("further_cameras must be a list of cameras", received=value)
    views = []
    for each in value:
        if isinstance(each, Mapping):
            _check_keys(CameraView, each, "a camera of a point-cloud recipe")
            views.append(CameraView(**each))
        elif isinstance(each, CameraView):
            views.append(each)
        else:
            raise DataError("a further camera must have a name and a position", received=each)
    return tuple(views)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items() if each is not None}
    return value


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
