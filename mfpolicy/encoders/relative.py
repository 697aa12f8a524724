"""Points as they are seen from places that the robot's state holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import nn

from mfpolicy.errors import ConfigError
from mfpolicy.options import check_type

Positions = tuple[tuple[int, int, int], ...]
"""Positions in the robot's state, each by the places of its x, y and z."""


class Affine(Protocol):
    """A normaliser of channels, y = scale · (x − offset)."""

    scale: torch.Tensor
    offset: torch.Tensor


class RelativePoints(nn.Module):
    """Puts behind each point its displacement from K positions of the robot's state.

    A point (x, y, z) of a cloud and a hand at (a, b, c) in the same frame become (x, y, z, x − a,
    y − b, z − c), in the normaliser's units of the cloud: a maximum over the points can then find
    what is near the hand, wherever that is.
    ``alone``, the displacement from the first position stands in place of (x, y, z).

    The normaliser's unit is the size of the scene, in which the millimetres that a grasp depends on
    are some hundredths. For each of W widths in ``near_m`` every displacement d follows once more
    as tanh(d / width), d in metres: magnified near the hand, and ±1 beyond.

    Args:
        positions: K triples, places of x, y, z in the state (S,), of positions in the frame and the
            unit of the cloud.
        state_dim: S.
        alone: leave out where the points are in the world.
        near_m: widths within which displacements are magnified too, metres.

    Raises:
        ConfigError: these are not K triples of places in the state, ``alone`` is not a flag, or
            ``near_m`` is not a list of widths.

    Example:
        >>> relative = RelativePoints([[0, 1, 2]], state_dim=4)
        >>> relative(torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([[1.0, 1.0, 1.0, 9.0]]))
        tensor([[[1., 2., 3., 0., 1., 2.]]])
    """

    place: torch.Tensor
    scale: torch.Tensor
    offset: torch.Tensor
    unit_per_m: torch.Tensor

    def __init__(
        self,
        positions: Sequence[Sequence[int]],
        *,
        state_dim: int,
        alone: bool = False,
        near_m: Sequence[float] = (),
    ) -> None:
        super().__init__()
        check_type("encoder.relative_alone", alone, bool)
        self.alone = alone
        self.near_m = _checked_widths(near_m)
        self.positions = checked_positions(positions, state_dim)
        self.register_buffer("place", torch.tensor(self.positions), persistent=False)
        shape = (len(self.positions), 3)
        self.register_buffer("scale", torch.ones(shape))
        self.register_buffer("offset", torch.zeros(shape))
        if self.near_m:
            self.register_buffer("unit_per_m", torch.ones(3))

    @property
    def added(self) -> int:
        """Values that a point has more."""
        return self.displaced + 3 * len(self.positions) * len(self.near_m)

    @property
    def displaced(self) -> int:
        """Of these, displacements in the cloud's unit; magnified ones stand behind them."""
        return 3 * (len(self.positions) - self.alone)

    def fit(self, clouds: Affine, states: Affine) -> None:
        """Takes in how clouds and states are normalised, which differs from channel to channel."""
        own_scale, own_offset = states.scale[self.place], states.offset[self.place]  # (K, 3)
        self.scale.copy_(clouds.scale[:3] / own_scale)
        self.offset.copy_((own_offset - clouds.offset[:3]) * clouds.scale[:3])
        if self.near_m:
            self.unit_per_m.copy_(clouds.scale[:3])

    def forward(self, points: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """(F, P, C) and (F, S), both normalised → (F, P, C + 3 K + 3 K W), alone 3 fewer."""
        hands = states[:, self.place] * self.scale + self.offset  # (F, K, 3)
        away = points[:, :, None, :3] - hands[:, None]  # (F, P, K, 3)
        seen = away.flatten(2)
        parts = [seen[..., :3], points[..., 3:], seen[..., 3:]] if self.alone else [points, seen]
        parts += [(away / (self.unit_per_m * width)).tanh().flatten(2) for width in self.near_m]
        return torch.cat(parts, dim=2)


def build_relative_points(
    positions: Sequence[Sequence[int]] | None,
    *,
    state_dim: int,
    alone: bool,
    near_m: Sequence[float] | None,
) -> RelativePoints | None:
    """Builds it from the encoder's ``relative_to``, ``_alone`` and ``_near_m``; None for null.

    Widths say how displacements are seen; where a task has none, they say nothing.

    Raises:
        ConfigError: a value is of another kind, or points are to be seen alone from nowhere.
    """
    widths = _checked_widths(() if near_m is None else near_m)
    if positions is not None:
        return RelativePoints(positions, state_dim=state_dim, alone=alone, near_m=widths)
    if alone:
        raise ConfigError(
            "encoder.relative_alone needs a position that points are seen from",
            received=f"{alone}, encoder.relative_to is null, or auto and no suite says the hand's",
            remedy="name it with encoder.relative_to=[[0,1,2]], or leave out relative_alone",
        )
    return None


def checked_positions(positions: Sequence[Sequence[int]], state_dim: int) -> Positions:
    """Returns ``positions`` if they are triples of different places in a state of S values.

    Raises:
        ConfigError: they are not.
    """
    listed = isinstance(positions, Sequence) and not isinstance(positions, str) and positions
    if not listed or not all(_is_position(each, state_dim) for each in positions):
        raise ConfigError(
            "encoder.relative_to must be null, auto, or positions in the robot's state, each by "
            f"the places of its x, y and z in 0 to {state_dim - 1}",
            received=positions,
            remedy="write encoder.relative_to=[[0,1,2]] for a state that begins with a position",
        )
    return tuple((x, y, z) for x, y, z in positions)


def _checked_widths(near_m: Sequence[float]) -> tuple[float, ...]:
    listed = isinstance(near_m, Sequence) and not isinstance(near_m, str)
    if not listed or not all(_is_width(width) for width in near_m):
        raise ConfigError(
            "encoder.relative_near_m must be null or a list of widths in metres, each above 0",
            received=near_m,
            remedy="write encoder.relative_near_m=[0.1]",
        )
    return tuple(float(width) for width in near_m)


def _is_width(width: object) -> bool:
    if not isinstance(width, int | float) or isinstance(width, bool):
        return False
    return math.isfinite(width) and width > 0


def _is_position(places: object, state_dim: int) -> bool:
    if not isinstance(places, Sequence) or isinstance(places, str) or len(places) != 3:
        return False
    whole = all(isinstance(each, int) and not isinstance(each, bool) for each in places)
    return whole and len(set(places)) == 3 and all(0 <= each < state_dim for each in places)
