"""The whole scene turned about gravity."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch

from mfpolicy.data.augment.base import AUGMENTATIONS, Scene
from mfpolicy.data.augment.vectors import MovedScene
from mfpolicy.options import check_range
from mfpolicy.types import Batch


@AUGMENTATIONS.register("rotation")
class Rotation(MovedScene):
    """Turns clouds, and what of state and action are vectors in the world frame, about gravity.

    One angle a window, uniform in ±``max_deg``, about the vertical axis through the middle of the
    box of all points: for a point p, Rp + (c − Rc), for a displacement d, Rd. What is no such
    vector, as a gripper's opening, stays. Which places are vectors says the suite of the task
    (``world_vectors`` in ``configs/suite``: all nine of Meta-World's state and the hand's
    displacement), or the three lists here, in its place. A task without any is refused, since a
    turned cloud with joint angles of the old one would teach what is false; for Adroit, whose
    state and actions are joint angles, there is only ``cloud_only``.

    It is exact as far as the robot works alike in every direction. What turns with the scene here
    but not in truth is the robot's reach, and the box that actions are clipped to: a displacement
    of full size in x and y leaves it by cos + sin − 1 of the angle, 8 % at 5°.

    Args:
        max_deg: largest angle, degrees, from 0 to 180.
        cloud_only: turn the clouds and nothing else, as a camera would whose yaw is known badly;
            keep the angle to what that may be.
        state_positions: places of x, y, z in the state, for each position in it.
        action_positions: the same in an action, for positions to be at.
        action_displacements: the same, for steps from where it is, and for forces.

    Raises:
        ConfigError: an angle or a place is out of range.

    Example:
        >>> Rotation(max_deg=5, state_positions=[[0, 1, 2]]).given.state_positions
        ((0, 1, 2),)
    """

    name = "rotation"
    error = "the camera's yaw"

    def __init__(
        self,
        *,
        max_deg: float = 5.0,
        cloud_only: bool = False,
        state_positions: Sequence[Sequence[int]] | None = None,
        action_positions: Sequence[Sequence[int]] | None = None,
        action_displacements: Sequence[Sequence[int]] | None = None,
    ) -> None:
        check_range("augment.rotation.max_deg", max_deg, 0, 180)
        super().__init__(
            cloud_only=cloud_only,
            lists={
                "state_positions": state_positions,
                "action_positions": action_positions,
                "action_displacements": action_displacements,
            },
        )
        self.max_deg = max_deg

    def __call__(self, batch: Batch, scene: Scene, generator: torch.Generator) -> Batch:
        """Returns the batch with turned clouds, states and actions."""
        cloud = batch.point_cloud
        drawn = torch.rand(len(cloud), generator=generator, device=cloud.device)
        angle = (2 * drawn - 1) * math.radians(self.max_deg)  # (B,)
        centre = ((scene.low + scene.high) / 2).unbind()
        flat = cloud.flatten(1, 2)  # (B, To * P, C)
        turned = _turned(flat, angle, ((0, 1, 2),), centre).view_as(cloud)
        vectors = self.moving(scene)
        action = _turned(batch.action, angle, vectors.action_positions, centre)
        return dataclasses.replace(
            batch,
            point_cloud=turned,
            agent_pos=_turned(batch.agent_pos, angle, vectors.state_positions, centre),
            action=_turned(action, angle, vectors.action_displacements),
        )


def _turned(
    values: torch.Tensor,
    angle: torch.Tensor,
    triples: Sequence[tuple[int, int, int]],
    centre: Sequence[torch.Tensor | float] = (0.0, 0.0),
) -> torch.Tensor:
    """Returns (B, L, D) with each triple of its last axis turned by (B,) about the z axis."""
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]  # (B, 1)
    turned = values.clone()
    for x, y, _ in triples:
        dx, dy = values[..., x] - centre[0], values[..., y] - centre[1]
        turned[..., x] = cos * dx - sin * dy + centre[0]
        turned[..., y] = sin * dx + cos * dy + centre[1]
    return turned
