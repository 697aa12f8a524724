"""What a policy sees: checked where it acts, related to one another where it learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mfpolicy.errors import ObservationError
from mfpolicy.types import XYZRGB, Array, Batch, Observation

_REMEDY = {
    "point_cloud": "crop and sample each cloud with mfpolicy.pointcloud.sample, stack the last To "
    "frames, and add a batch axis",
    "agent_pos": "stack the states of the last To frames and add a batch axis",
}


def checked_field(
    observation: Observation | Mapping[str, Any],
    key: str,
    shape: tuple[int | None, ...],
    device: torch.device,
) -> torch.Tensor:
    """Returns a field of an observation as float32 on ``device``.

    Args:
        observation: numpy or torch.
        key: point_cloud or agent_pos.
        shape: sizes of its axes; None takes any.
        device: where it goes.

    Raises:
        ObservationError: the key is missing, the shape does not fit, or a value is not finite or
            no color.
    """
    fields = observation if isinstance(observation, Mapping) else vars(observation)
    if key not in fields:
        raise ObservationError(f"an observation must have the key {key!r}", received=sorted(fields))
    try:
        value = torch.as_tensor(fields[key])
    except (TypeError, ValueError, RuntimeError) as error:
        raise ObservationError(
            f"{key} must be an array of numbers", received=type(fields[key]).__name__
        ) from error
    fits = value.ndim == len(shape) and all(
        want in (None, got) for want, got in zip(shape, value.shape, strict=True)
    )
    if not fits or not value.numel():
        raise ObservationError(
            _shape_rule(key, shape),
            received=tuple(value.shape),
            remedy=color_remedy(key, shape, tuple(value.shape)) or _REMEDY[key],
        )
    value = value.to(device, torch.float32)
    if not bool(torch.isfinite(value).all()):
        bad = int((~torch.isfinite(value)).sum())
        raise ObservationError(
            f"{key} must be finite",
            received=f"{bad} NaN or infinite values",
            remedy="drop the frame, or the points, before the policy sees them",
        )
    if key == "point_cloud" and shape[-1] == XYZRGB:
        check_colors(value)
    return value


def check_colors(point_cloud: Array) -> None:
    """Refuses colors (…, 3:6) of a cloud, numpy or torch, that are not from 0 to 255.

    Colors from 0 to 1, as other libraries have them, would be taken for a black scene.

    Raises:
        ObservationError: a color is below 0 or above 255, or all are fractions up to 1.
    """
    colors = point_cloud[..., 3:]
    low, high = float(colors.min()), float(colors.max())
    if low < 0 or high > 255 or (high <= 1 and bool((colors % 1 != 0).any())):
        raise ObservationError(
            "colors of a point_cloud must lie from 0 to 255",
            received=f"{low:g} to {high:g}",
            remedy="give red, green and blue as 8-bit images have them; multiply those from 0 to 1 "
            "by 255",
        )


def color_remedy(key: str, wanted: tuple[int | None, ...], given: tuple[int, ...]) -> str | None:
    """What to do where a cloud lacks the colors that are wanted, or has them unasked; else None."""
    if key != "point_cloud" or len(wanted) != len(given):
        return None
    if (wanted[-1], given[-1]) == (XYZRGB, 3):
        return (
            "this policy sees colors: give each point's red, green and blue, from 0 to 255, behind "
            "its x, y, z"
        )
    if (wanted[-1], given[-1]) == (3, XYZRGB):
        return "this policy sees no colors: give x, y, z of each point alone"
    return None


def _shape_rule(key: str, shape: tuple[int | None, ...]) -> str:
    names = ("B", "To", "P", "C") if key == "point_cloud" else ("B", "To", "S")
    sizes = ", ".join("any" if size is None else str(size) for size in shape)
    return f"{key} must have shape ({', '.join(names)}) = ({sizes})"


def frame_gap(batch: Batch) -> torch.Tensor:
    """Returns the steps between two rows' frames, (B, B), −1 where they are of two episodes."""
    same = batch.episode[:, None] == batch.episode[None]
    return torch.where(same, (batch.step[:, None] - batch.step[None]).abs(), -1)
