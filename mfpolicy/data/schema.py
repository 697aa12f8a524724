"""What a dataset says of itself, and how it lies on the disk.

On disk (zarr format 3)::

    data/point_cloud   (N, P, 3) float32   metres, world frame, farthest-point order
    data/color         (N, P, 3) uint8     optional
    data/state         (N, S)    float32
    data/action        (N, A)    float32
    data/<extra>       (N, ...)            any further array by name
    meta/episode_ends  (E,) int64          cumulative, exclusive
    meta/episode_seed, meta/episode_length (E,) int64;  meta/episode_success (E,) bool

N steps of E episodes. The root attributes hold the specification, and the numbers of
``episodes`` and ``steps`` that are finished: whatever lies beyond them does not exist.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from mfpolicy.errors import DataError
from mfpolicy.pointcloud import PointCloudRecipe
from mfpolicy.versions import installed_versions

SCHEMA_NAME = "mfpolicy-demonstrations"
SCHEMA_VERSION = 1
REQUIRED_ARRAYS = ("point_cloud", "state", "action")
META_DTYPES = {
    "episode_ends": "int64",
    "episode_seed": "int64",
    "episode_success": "bool",
    "episode_length": "int64",
}
STEPS_PER_CHUNK = 100
EPISODES_PER_CHUNK = 1024

_PACKAGES = ("mfpolicy", "numpy", "zarr", "fpsample", "gymnasium", "mujoco", "metaworld")


@dataclass(frozen=True)
class DatasetSpec:
    """What a dataset says of itself; ``None`` where a foreign dataset does not say.

    Attributes:
        task: ``suite/task``.
        control_rate_hz: control steps per second.
        expert: who demonstrated, for example ``scripted``.
        recipe: how the point clouds were made.
        camera: intrinsics, extrinsics and image size, JSON-able.
        state_dim: S. action_dim: A. points: P.
        extra: further JSON-able notes: ``renderer``, what rendered the clouds of a simulation
            (earlier datasets do not say so: they were rendered with OpenGL). The versions of
            the packages that shape the data are added under ``packages`` by the writer.

    Raises:
        DataError: a dimension is below 1, or a note cannot be written as JSON.
    """

    task: str | None
    control_rate_hz: float | None
    expert: str | None
    recipe: PointCloudRecipe | None
    camera: dict[str, Any] | None
    state_dim: int
    action_dim: int
    points: int
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("state_dim", "action_dim", "points"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise DataError(
                    f"{name} of a dataset must be an integer of at least 1", received=value
                )
        rate = self.control_rate_hz
        if rate is not None and (isinstance(rate, bool) or not 0 < rate < 1e6):
            raise DataError(
                "control_rate_hz of a dataset must be above 0 and finite", received=rate
            )
        if self.recipe is not None and self.recipe.points != self.points:
            raise DataError(
                "points of a dataset must be those of its recipe",
                received=f"{self.points}, the recipe says {self.recipe.points}",
            )
        for name in ("camera", "extra"):
            _require_json(name, getattr(self, name))

    def to_dict(self) -> dict[str, Any]:
        """The specification as JSON-able values."""
        return {
            "task": self.task,
            "control_rate_hz": self.control_rate_hz,
            "expert": self.expert,
            "recipe": None if self.recipe is None else self.recipe.to_dict(),
            "camera": self.camera,
            "state_dim": self.state_dim,
            "action_dim": self.action_dim,
            "points": self.points,
            "extra": self.extra,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DatasetSpec:
        """Rebuilds a specification from :meth:`to_dict`; missing notes become ``None``.

        Raises:
            DataError: a note has the wrong type.
        """
        for name, kind in (
            ("task", str), ("expert", str), ("control_rate_hz", int | float),
            ("recipe", dict), ("camera", dict), ("extra", dict),
        ):  # fmt: skip
            value = values.get(name)
            if value is not None and not isinstance(value, kind):
                raise DataError(f"'{name}' of a dataset has the wrong type", received=value)
        recipe = values.get("recipe")
        return cls(
            task=values.get("task"),
            control_rate_hz=values.get("control_rate_hz"),
            expert=values.get("expert"),
            recipe=None if recipe is None else PointCloudRecipe.from_dict(recipe),
            camera=values.get("camera"),
            state_dim=values["state_dim"],
            action_dim=values["action_dim"],
            points=values["points"],
            extra=values.get("extra") or {},
        )

    def differences(self, other: DatasetSpec) -> dict[str, tuple[Any, Any]]:
        """The notes in which two specifications differ (``extra`` aside), as (self, other)."""
        mine, theirs = (json.loads(json.dumps(spec.to_dict())) for spec in (self, other))
        return {
            name: (mine[name], theirs[name])
            for name in mine
            if name != "extra" and mine[name] != theirs[name]
        }


def package_versions() -> dict[str, str]:
    """Versions of the installed packages that shape a dataset."""
    return installed_versions(_PACKAGES)


def _require_json(name: str, value: object) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"'{name}' of a dataset must be JSON-able: {error}",
            remedy="use plain numbers, strings, lists and dicts",
        ) from error
