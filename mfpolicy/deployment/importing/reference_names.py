"""Our weights under the names and in the padded shapes of DP3's, FlowPolicy's and MP1's code.

The three share one encoder and one U-Net (DP3's smaller one has one residual block a level; MP1's
has a second time embedding). One list of links serves both directions: what a padded weight holds
beside our part of it are taps that only ever meet zero padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mfpolicy.deployment.importing.dead_taps import DeadTaps, dead_taps
from mfpolicy.errors import RunError
from mfpolicy.networks import UNet1D
from mfpolicy.networks.live_conv import LiveConv1d, LiveUpsample1d
from mfpolicy.networks.unet1d import ConvBlock, ResidualBlock
from mfpolicy.policy import Policy


@dataclass(frozen=True)
class Link:
    """One of their weights, and where its parts lie in ours.

    Attributes:
        name: their name.
        shape: their shape.
        parts: places in theirs, each with the view of our parameter that it is.
        dead: what theirs has beside the parts; None where it has nothing.
    """

    name: str
    shape: tuple[int, ...]
    parts: tuple[tuple[Any, torch.Tensor], ...]
    dead: DeadTaps | None = None


def links(policy: Policy, *, start: bool = True) -> Iterator[Link]:
    """Yields every weight of their encoder and network that decides an action.

    Args:
        policy: with a ``pointnet`` encoder and a ``unet1d`` network.
        start: whether theirs embeds the interval's start r too, as MP1's does.
    """
    network = policy.network
    encoder: Any = policy.encoder  # its parts by their own names
    assert isinstance(network, UNet1D)
    yield from _sequential("obs_encoder.extractor.mlp", encoder.cloud.point_mlp)
    yield from _sequential("obs_encoder.extractor.final_projection", encoder.cloud.projection)
    yield from _sequential("obs_encoder.state_mlp", encoder.state.mlp)
    yield from _sequential("model.diffusion_step_encoder", network.time.end, shift=1)
    if start:
        yield from _sequential("model.diffusion_step_encoder_rs", network.time.start, shift=1)
    yield from _residual_blocks(network)
    yield from _block("model.final_conv.0", network.final)
    yield from _conv("model.final_conv.1", network.project)
    place = "1" if network.middle.second is None else "2"
    for level, shrink in enumerate(network.shrink):
        yield from _conv(f"model.down_modules.{level}.{place}.conv", shrink)
    for level, grow in enumerate(network.grow):
        yield from _conv(f"model.up_modules.{level}.{place}.conv", grow)


@torch.no_grad()
def padded_state(policy: Policy, *, start: bool = True) -> dict[str, torch.Tensor]:
    """Returns a policy's weights by their names; dead taps are zero and no memory is shared."""
    state = {}
    for link in links(policy, start=start):
        example = link.parts[0][1]
        state[link.name] = example.new_zeros(link.shape)
        for place, ours in link.parts:
            state[link.name][place] = ours
    return state


@torch.no_grad()
def load_padded(
    policy: Policy, state: Mapping[str, Any], read: Any, *, start: bool = True
) -> tuple[list[str], list[DeadTaps]]:
    """Copies their weights into a policy.

    Args:
        policy: to fill.
        state: what describes a weight, by their names.
        read: makes a tensor of a description.
        start: as in :func:`links`.

    Returns:
        The names that were taken, and what was left out of them.

    Raises:
        RunError: a weight is missing, of another shape, or not finite where it is live.
    """
    wanted = list(links(policy, start=start))
    missing = [link.name for link in wanted if link.name not in state]
    if missing:
        raise RunError(
            "a checkpoint must hold every weight that its configuration asks for",
            received=f"{len(missing)} missing: " + ", ".join(missing[:3]),
            remedy="check kind=, or import a checkpoint of the released code",
        )
    dropped = []
    for link in wanted:
        theirs = read(state[link.name])
        if tuple(theirs.shape) != link.shape:
            raise RunError(
                f"{link.name} must have the shape that the checkpoint's configuration gives it, "
                f"{link.shape}",
                received=tuple(theirs.shape),
            )
        for place, ours in link.parts:
            part = theirs[place]
            if not bool(torch.isfinite(part).all()):
                raise RunError(f"{link.name} must be finite", received="NaN or infinite values")
            ours.copy_(part)
        if link.dead is not None:
            dropped.append(link.dead)
    return [link.name for link in wanted], dropped


def _residual_blocks(network: UNet1D) -> Iterator[Link]:
    places = [f"down_modules.{level}" for level in range(len(network.down))]
    places += ["mid_modules", *(f"up_modules.{level}" for level in range(len(network.up)))]
    pairs: list[Any] = [*network.down, network.middle, *network.up]
    names = {
        id(block): f"model.{place}.{number}"
        for place, pair in zip(places, pairs, strict=True)
        for number, block in enumerate((pair.first, pair.second))
    }
    blocks = [module for module in network.modules() if isinstance(module, ResidualBlock)]
    sizes = [2 * block.out_channels for block in blocks]
    films = zip(
        network.film_time.weight.split(sizes),
        network.film_condition.weight.split(sizes),
        network.film_condition.bias.split(sizes),
        strict=True,
    )
    for block, (time, condition, bias) in zip(blocks, films, strict=True):
        name, border = names[id(block)], time.shape[1]
        yield from _block(f"{name}.blocks.0", block.first)
        yield from _block(f"{name}.blocks.1", block.second)
        yield Link(
            f"{name}.cond_encoder.1.weight",
            (len(time), border + condition.shape[1]),
            (((slice(None), slice(border)), time), ((slice(None), slice(border, None)), condition)),
        )
        yield _whole(f"{name}.cond_encoder.1.bias", bias)
        if not isinstance(block.residual, nn.Identity):
            yield from _conv(f"{name}.residual_conv", block.residual)


def _block(name: str, block: ConvBlock) -> Iterator[Link]:
    yield from _conv(f"{name}.block.0", block.conv)
    yield _whole(f"{name}.block.1.weight", block.norm.weight)
    yield _whole(f"{name}.block.1.bias", block.norm.bias)


def _conv(name: str, conv: Any) -> Iterator[Link]:
    assert isinstance(conv, (LiveConv1d, LiveUpsample1d))
    shape = tuple(conv.full_weight().shape)
    dead = dead_taps(name, conv)
    live = [tap for tap in range(shape[2]) if dead is None or tap not in dead.taps]
    place = (slice(None), slice(None), slice(live[0], live[-1] + 1))
    yield Link(f"{name}.weight", shape, ((place, conv.weight),), dead)
    yield _whole(f"{name}.bias", conv.bias)


def _sequential(name: str, layers: Any, shift: int = 0) -> Iterator[Link]:
    for index, layer in enumerate(layers):
        for key, value in layer.named_parameters():
            yield _whole(f"{name}.{index + shift}.{key}", value)


def _whole(name: str, ours: torch.Tensor) -> Link:
    return Link(name, tuple(ours.shape), ((..., ours),))
