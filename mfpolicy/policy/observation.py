"""What a policy sees: checked where it acts, related to one another where it learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mfpolicy.errors import ObservationError
from mfpolicy.types import Batch, Observation

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
        ObservationError: the key is missing, the shape does not fit, or a value is not finite.
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
            _shape_rule(key, shape), received=tuple(value.shape), remedy=_REMEDY[key]
        )
    value = value.to(device, torch.float32)
    if not bool(torch.isfinite(value).all()):
        bad = int((~torch.isfinite(value)).sum())
        raise ObservationError(
            f"{key} must be finite",
            received=f"{bad} NaN or infinite values",
            remedy="drop the frame, or the points, before the policy sees them",
        )
    return value


def _shape_rule(key: str, shape: tuple[int | None, ...]) -> str:
    names = ("B", "To", "P", "C") if key == "point_cloud" else ("B", "To", "S")
    sizes = ", ".join("any" if size is None else str(size) for size in shape)
    return f"{key} must have shape ({', '.join(names)}) = ({sizes})"


def frame_gap(batch: Batch) -> torch.Tensor:
    """Returns the steps between two rows' frames, (B, B), −1 where they are of two episodes."""
    same = batch.episode[:, None] == batch.episode[None]
    return torch.where(same, (batch.step[:, None] - batch.step[None]).abs(), -1)
