"""The whole scene shifted over the table."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from mfpolicy.data.augment.base import AUGMENTATIONS, Scene
from mfpolicy.data.augment.vectors import MovedScene
from mfpolicy.options import check_range
from mfpolicy.types import Batch


@AUGMENTATIONS.register("translation")
class Translation(MovedScene):
    """Shifts clouds, and the positions in state and action, by one horizontal step a window.

    The step is uniform in ±``max_m`` along x and along y; heights stay, since a table does.
    Displacements stay too: how to reach for an object is the same wherever both are. Which places
    are positions says the suite of the task (``world_vectors`` in ``configs/suite``), or the lists
    here, in its place. A task without any is refused, since a shifted cloud with joint angles of
    the old one would teach what is false.

    It is exact as far as the robot works alike in every place: what does not shift in truth is its
    reach, and whatever of the scene stands fixed.

    With ``cloud_only`` the clouds alone are shifted, along z as well, as by a camera whose place is
    known badly; keep the step to what that may be.

    Args:
        max_m: largest step along each axis, metres, from 0 to 10.
        cloud_only: shift the clouds and nothing else.
        state_positions: places of x, y, z in the state, for each position in it.
        action_positions: the same in an action, for positions to be at.

    Raises:
        ConfigError: a step or a place is out of range.

    Example:
        >>> Translation(max_m=0.1, state_positions=[[0, 1, 2]]).given.state_positions
        ((0, 1, 2),)
    """

    name = "translation"
    error = "the camera's place"

    def __init__(
        self,
        *,
        max_m: float = 0.1,
        cloud_only: bool = False,
        state_positions: Sequence[Sequence[int]] | None = None,
        action_positions: Sequence[Sequence[int]] | None = None,
    ) -> None:
        check_range("augment.translation.max_m", max_m, 0, 10)
        super().__init__(
            cloud_only=cloud_only,
            lists={"state_positions": state_positions, "action_positions": action_positions},
        )
        self.max_m = max_m

    def __call__(self, batch: Batch, scene: Scene, generator: torch.Generator) -> Batch:
        """Returns the batch with shifted clouds, states and actions."""
        cloud = batch.point_cloud
        axes = 3 if self.cloud_only else 2
        drawn = torch.rand(len(cloud), axes, generator=generator, device=cloud.device)
        step = (2 * drawn - 1) * self.max_m  # (B, 2) or (B, 3)
        shifted = cloud.clone()
        shifted[..., :axes] += step[:, None, None]
        vectors = self.moving(scene)
        return dataclasses.replace(
            batch,
            point_cloud=shifted,
            agent_pos=_shifted(batch.agent_pos, step, vectors.state_positions),
            action=_shifted(batch.action, step, vectors.action_positions),
        )


def _shifted(
    values: torch.Tensor, step: torch.Tensor, triples: Sequence[tuple[int, int, int]]
) -> torch.Tensor:
    """Returns (B, L, D) with x and y of each triple of its last axis shifted by (B, 2 or 3)."""
    shifted = values.clone()
    for x, y, _ in triples:
        shifted[..., x] += step[:, :1]
        shifted[..., y] += step[:, 1:2]
    return shifted
