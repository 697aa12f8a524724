"""Per-channel min-max normalisation to [-1, 1], kept with the weights of the policy."""

from __future__ import annotations

from typing import Self

import torch
from torch import nn

from mfpolicy.data.joint import Windows
from mfpolicy.errors import DataError
from mfpolicy.types import XYZRGB

CONSTANT_RANGE = 1e-4
"""A channel that varies by less is taken as constant (as DP3 and MP1 do)."""


class ChannelNormalizer(nn.Module):
    """Maps every channel of the last axis to [-1, 1]: y = scale · (x − offset).

    ``offset`` is the middle of the channel's range and ``scale`` two over its width; subtracting
    first keeps float32 exact for narrow channels far from zero. A channel narrower than
    ``CONSTANT_RANGE`` has scale 1, so it maps to 0 and comes back unamplified. Nothing is clipped.

    Args:
        scale: (C,) float32, positive.
        offset: (C,) float32.

    Example:
        >>> normalizer = ChannelNormalizer.fit(torch.tensor([[0.0, 5.0], [10.0, 5.0]]))
        >>> normalizer(torch.tensor([2.5, 5.0])).tolist()
        [-0.5, 0.0]
        >>> normalizer.inverse(torch.tensor([1.0, 0.0])).tolist()
        [10.0, 5.0]
    """

    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(self, scale: torch.Tensor, offset: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale.detach().clone().float())
        self.register_buffer("offset", offset.detach().clone().float())

    @classmethod
    def identity(cls, channels: int) -> Self:
        """A normaliser of ``channels`` channels that changes nothing."""
        return cls(torch.ones(channels), torch.zeros(channels))

    @classmethod
    def from_min_max(cls, minimum: torch.Tensor, maximum: torch.Tensor) -> Self:
        """A normaliser from the least and greatest value of each channel, both (C,).

        Raises:
            DataError: a bound is not finite, or a minimum exceeds its maximum.
        """
        low, high = minimum.double(), maximum.double()
        if not (torch.isfinite(low).all() and torch.isfinite(high).all() and (low <= high).all()):
            raise DataError(
                "channels must have finite bounds, the lower before the upper",
                received=(minimum.tolist(), maximum.tolist()),
            )
        width = high - low
        constant = width < CONSTANT_RANGE
        scale = 2.0 / torch.where(constant, torch.full_like(width, 2.0), width)
        return cls(scale, (low + high) / 2)

    @staticmethod
    def fit(array: torch.Tensor) -> ChannelNormalizer:
        """A normaliser of the channels of ``array`` (..., C).

        Raises:
            DataError: the array is empty or not finite.
        """
        bounds = _Bounds()
        bounds.update(array)
        return bounds.normalizer()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalises ``x`` (..., C)."""
        return (x - self.offset) * self.scale

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        """Undoes :meth:`forward`."""
        return y / self.scale + self.offset


class Normalizer(nn.Module):
    """The normalisers of what a policy sees and does.

    Attributes:
        point_cloud: of x, y, z, shared by all points; of colors from 0 to 255, whichever of them
            the data show. agent_pos: of S. action: of A channels.
    """

    def __init__(
        self,
        point_cloud: ChannelNormalizer,
        agent_pos: ChannelNormalizer,
        action: ChannelNormalizer,
    ) -> None:
        super().__init__()
        self.point_cloud = point_cloud
        self.agent_pos = agent_pos
        self.action = action

    @classmethod
    def identity(cls, point_dim: int, state_dim: int, action_dim: int) -> Self:
        """A normaliser that changes nothing, of the right dimensions to load weights into."""
        return cls(*(ChannelNormalizer.identity(n) for n in (point_dim, state_dim, action_dim)))

    @classmethod
    def fit(cls, windows: Windows) -> Self:
        """A normaliser of all steps of ``windows``, of one dataset or several, jointly.

        Raises:
            DataError: a value is not finite, or a chunk is damaged.
        """
        bounds = {name: _Bounds() for name in ("point_cloud", "agent_pos", "action")}
        for block in windows.arrays():
            for name, values in block.items():
                bounds[name].update(values)
        bounds["point_cloud"].fix_colors()
        return cls(**{name: bound.normalizer() for name, bound in bounds.items()})


class _Bounds:
    """Running least and greatest value of each channel."""

    def __init__(self) -> None:
        self.minimum: torch.Tensor | None = None
        self.maximum: torch.Tensor | None = None

    def update(self, block: torch.Tensor) -> None:
        rows = block.reshape(-1, block.shape[-1])  # (n, C)
        if len(rows) == 0:
            return
        low, high = rows.aminmax(dim=0)  # NaN propagates, and from_min_max refuses it
        self.minimum = low if self.minimum is None else torch.minimum(self.minimum, low)
        self.maximum = high if self.maximum is None else torch.maximum(self.maximum, high)

    def fix_colors(self) -> None:
        """Sets the bounds of the channels behind x, y, z to those of 8 bits."""
        if self.minimum is not None and self.maximum is not None and len(self.minimum) == XYZRGB:
            self.minimum[3:], self.maximum[3:] = 0, 255

    def normalizer(self) -> ChannelNormalizer:
        if self.minimum is None or self.maximum is None:
            raise DataError("a normaliser must be fitted on at least one value")
        return ChannelNormalizer.from_min_max(self.minimum, self.maximum)
