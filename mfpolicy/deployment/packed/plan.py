"""The layers of a U-Net as one table that a compiled loop runs through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mfpolicy.deployment.packed.layer import FIELDS
from mfpolicy.deployment.packed.taps import Pairs, convolution, upsampling
from mfpolicy.deployment.packed.weights import pack
from mfpolicy.networks import UNet1D
from mfpolicy.networks.live_conv import LiveConv1d
from mfpolicy.networks.unet1d import BlockPair, ConvBlock, ResidualBlock

PIECES = 8
"""Pieces of a layer without groups, so that several threads have work."""


@dataclass(frozen=True)
class Place:
    """A sequence of activations in the arena.

    Attributes:
        start: of its first value. row: from one step to the next. steps: its length L.
        width: channels.
    """

    start: int
    row: int
    steps: int
    width: int


@dataclass(frozen=True)
class Plan:
    """A U-Net, ready to run; arguments of ``layer.run_on_one``.

    Attributes:
        table: (n, 16) int64. weights: flat. vectors: flat float32. pairs: flat int64.
        size: values of a row of the arena.
        condition, noise, velocity: where these go in and come out.
        film: (start, end) of all scales and shifts, what ``UNet1D.prepare`` returns.
    """

    table: np.ndarray
    weights: np.ndarray
    vectors: np.ndarray
    pairs: np.ndarray
    size: int
    condition: Place
    noise: Place
    velocity: Place
    film: tuple[int, int]


class PlanBuilder:
    """Collects layers and the places that they read and write.

    Args:
        precision: of the weights, see :func:`mfpolicy.deployment.packed.weights.pack`.
    """

    def __init__(self, precision: str) -> None:
        self.precision = precision
        self.size = 0
        self.rows: list[list[int]] = []
        self.weights: list[np.ndarray] = []
        self.vectors: list[np.ndarray] = []
        self.pairs: list[int] = []
        self._written = {"weights": 0, "vectors": 0}

    def place(self, steps: int, width: int) -> Place:
        """Takes a new place in the arena; rows begin at a cache line."""
        row = -(-width // 16) * 16
        made = Place(self.size, row, steps, width)
        self.size += steps * row
        return made

    def add(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor,
        pairs: Pairs,
        source: Place,
        target: Place,
        *,
        norm: torch.nn.GroupNorm | None = None,
        film: int = -1,
        residual: Place | None = None,
    ) -> None:
        """Adds a layer with ``weight`` (O, taps, C) and ``bias`` (O,)."""
        outputs, taps, inputs = weight.shape
        stored, scale = pack(weight.reshape(outputs, -1).numpy(), self.precision)
        vectors = [scale, bias.numpy()]
        if norm is not None:
            vectors += [norm.weight.numpy(), norm.bias.numpy()]
        row = {
            **{"x": source.start, "x_row": source.row, "channels": inputs},
            **{"y": target.start, "y_row": target.row, "steps": target.steps},
            **{"width": outputs, "taps": taps, "pairs": len(self.pairs)},
            **{"weight": self._written["weights"], "vectors": self._written["vectors"]},
            **{
                "groups": norm.num_groups if norm else min(PIECES, outputs),
                "norm": int(norm is not None),
            },
            **{"film": film, "residual": residual.start if residual else -1},
            **{"residual_row": residual.row if residual else 0},
        }
        self.rows.append([row[name] for name in FIELDS])
        self._write("weights", stored.ravel())
        self._write("vectors", np.concatenate(vectors))
        for tap in pairs:
            self.pairs += [len(tap), *(step for pair in tap for step in pair)]

    def _write(self, kind: str, values: np.ndarray) -> None:
        getattr(self, kind).append(values)
        self._written[kind] += len(values)


def plan_unet(network: UNet1D, precision: str) -> Plan:
    """Lays out a U-Net; its time embedding is left out, see ``Plan.film``."""
    return _Layout(network, PlanBuilder(precision)).build()


class _Layout:
    """Where each layer of a U-Net reads and writes."""

    def __init__(self, network: UNet1D, builder: PlanBuilder) -> None:
        self.network: Any = network  # its parts by their own types
        self.builder = builder
        self.film = 0

    def build(self) -> Plan:
        network, builder = self.network, self.builder
        condition = builder.place(1, network.condition_dim)
        films = network.film_condition.out_features
        film = builder.place(1, films)
        self.film = film.start
        weight, bias = network.film_condition.weight, network.film_condition.bias
        builder.add(weight[:, None], bias, [[(0, 0)]], condition, film)
        noise = x = builder.place(network.horizon, network.action_dim)
        skips: list[Place] = []
        for level, pair in enumerate(network.down):
            steps, width = network.horizon >> level, _width(pair)
            last = level == len(network.down) - 1
            # beside what comes up again: joined without a copy
            joined = builder.place(steps, 2 * width) if level else None
            target = _half(joined, 1) if joined else builder.place(steps, width)
            self._pair(pair, x, target)
            if joined:
                skips.append(joined)
            x = target
            if not last:
                x = builder.place(steps // 2, width)
                self._shrink(network.shrink[level], target, x)
        x = self._up(x, skips)
        final = builder.place(network.horizon, network.project.weight.shape[1])
        self._block(network.final, x, final)
        velocity = builder.place(network.horizon, network.action_dim)
        self._convolve(network.project, x=final, y=velocity)
        return Plan(
            table=np.array(builder.rows, np.int64),
            weights=np.concatenate(builder.weights),
            vectors=np.concatenate(builder.vectors),
            pairs=np.array(builder.pairs, np.int64),
            size=builder.size,
            condition=condition,
            noise=noise,
            velocity=velocity,
            film=(film.start, film.start + films),
        )

    def _up(self, x: Place, skips: list[Place]) -> Place:
        network, builder = self.network, self.builder
        target = _half(skips[-1], 0) if skips else builder.place(x.steps, x.width)
        self._pair(network.middle, x, target)
        x = target
        for pair, grow in zip(network.up, network.grow, strict=True):
            joined, width = skips.pop(), _width(pair)
            low = builder.place(joined.steps, width)
            self._pair(pair, joined, low)
            x = _half(skips[-1], 0) if skips else builder.place(2 * low.steps, width)
            weight = grow.weight.permute(1, 2, 0)
            builder.add(weight, grow.bias, upsampling(grow), low, x)
        return x

    def _pair(self, pair: BlockPair, x: Place, target: Place) -> None:
        if pair.second is None:
            return self._residual(pair.first, x, target)
        between = self.builder.place(target.steps, target.width)
        self._residual(pair.first, x, between)
        self._residual(pair.second, between, target)

    def _residual(self, block: ResidualBlock, x: Place, target: Place) -> None:
        hidden = self.builder.place(target.steps, target.width)
        self._block(block.first, x, hidden, film=self.film)
        self.film += 2 * block.out_channels
        passed = x
        if isinstance(block.residual, LiveConv1d):
            passed = self.builder.place(target.steps, target.width)
            self._convolve(block.residual, x, passed)
        self._block(block.second, hidden, target, residual=passed)

    def _block(
        self, block: ConvBlock, x: Place, y: Place, film: int = -1, residual: Place | None = None
    ) -> None:
        conv = block.conv
        weight = conv.weight.permute(0, 2, 1)
        self.builder.add(
            *(weight, conv.bias, convolution(conv), x, y),
            norm=block.norm,
            film=film,
            residual=residual,
        )

    def _convolve(self, conv: LiveConv1d, x: Place, y: Place) -> None:
        self.builder.add(conv.weight.permute(0, 2, 1), conv.bias, convolution(conv), x, y)

    _shrink = _convolve


def _width(pair: BlockPair) -> int:
    return pair.first.out_channels


def _half(joined: Place, which: int) -> Place:
    width = joined.width // 2
    return Place(joined.start + which * width, joined.row, joined.steps, width)
