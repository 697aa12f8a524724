"""What an episode is, and what makes it fit a dataset."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from mfpolicy.data.schema import DatasetSpec
from mfpolicy.errors import DataError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class Episode:
    """One demonstration of L steps; row i holds the observation before action i.

    Attributes:
        point_cloud: (L, P, 3) float32, metres, world frame.
        agent_pos: (L, S) float32.
        action: (L, A) float32.
        seed: seed of the reset; ``None`` where a foreign dataset does not say.
        success: whether the episode succeeded; ``None`` where a foreign dataset does not say.
        color: (L, P, 3) uint8, optional.
        extras: further arrays (L, ...) by name.
    """

    point_cloud: np.ndarray
    agent_pos: np.ndarray
    action: np.ndarray
    seed: int | None
    success: bool | None
    color: np.ndarray | None = None
    extras: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.action)


def colors_of_floats(rgb: np.ndarray) -> np.ndarray:
    """Returns colors stored beside the points, floats from 0 to 255 (..., 3), as uint8.

    NaN is black; what lies outside is clipped.
    """
    return np.nan_to_num(rgb).round().clip(0, 255).astype(np.uint8)


def episode_arrays(episode: Episode, spec: DatasetSpec) -> dict[str, np.ndarray]:
    """Returns the arrays of ``episode`` as they go to disk, checked against ``spec``.

    Raises:
        DataError: a shape, type or length does not fit, or a value is NaN or infinite.
    """
    length = len(episode.action)
    if length == 0:
        raise DataError("an episode must have at least one step", received=length)
    shapes = {
        "point_cloud": (length, spec.points, 3),
        "state": (length, spec.state_dim),
        "action": (length, spec.action_dim),
    }
    arrays = {
        "point_cloud": _as_float32("point_cloud", episode.point_cloud),
        "state": _as_float32("state", episode.agent_pos),
        "action": _as_float32("action", episode.action),
    }
    if episode.color is not None:
        arrays["color"], shapes["color"] = np.asarray(episode.color), (length, spec.points, 3)
        if arrays["color"].dtype != np.uint8:
            raise DataError("color must be uint8", received=str(arrays["color"].dtype))
    for name, values in episode.extras.items():
        arrays[name] = _checked_extra(name, values, taken=shapes)
        shapes[name] = (length, *arrays[name].shape[1:])
    for name, values in arrays.items():
        if values.shape != shapes[name]:
            raise DataError(
                f"'{name}' of the episode must have shape {shapes[name]}", received=values.shape
            )
        _require_finite(name, values)
    return arrays


def _as_float32(name: str, values: object) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise DataError(f"'{name}' must hold numbers", received=str(array.dtype))
    with np.errstate(over="ignore"):  # beyond float32: infinite, which the finite check names
        return np.ascontiguousarray(array, dtype=np.float32)


def _checked_extra(name: str, values: object, *, taken: dict[str, tuple[int, ...]]) -> np.ndarray:
    if not _NAME.match(name) or name in taken:
        raise DataError(
            "the name of an extra array must be a free identifier",
            received=name,
            remedy=f"choose a name other than {', '.join(taken)}",
        )
    array = np.ascontiguousarray(values)
    if array.dtype.kind not in "fiub":
        raise DataError(
            f"extra array '{name}' must hold numbers or booleans", received=str(array.dtype)
        )
    if 0 in array.shape[1:]:
        raise DataError(f"extra array '{name}' must not have an empty axis", received=array.shape)
    return array


def _require_finite(name: str, values: np.ndarray) -> None:
    if values.dtype.kind != "f":
        return
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)  # (L,)
    if not finite.all():
        raise DataError(
            f"'{name}' of the episode must be finite",
            received=f"NaN or infinity at step {int(np.argmin(finite))}",
        )
