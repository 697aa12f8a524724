"""Our live weights under the names and in the padded shapes of MP1's released code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from mfpolicy.networks import UNet1D
from mfpolicy.networks.unet1d import ConvBlock, ResidualBlock
from mfpolicy.policy import Policy

Named = Iterator[tuple[str, torch.Tensor]]


def reference_weights(policy: Policy) -> dict[str, torch.Tensor]:
    """Returns the weights of a policy with a ``pointnet`` encoder and a ``unet1d`` network.

    Dead taps are zero. What is returned shares no memory with the policy.
    """
    network = policy.network
    encoder: Any = policy.encoder  # its parts by their own names
    assert isinstance(network, UNet1D)
    named = [
        *_sequential("obs_encoder.extractor.mlp", encoder.cloud.point_mlp),
        *_sequential("obs_encoder.extractor.final_projection", encoder.cloud.projection),
        *_sequential("obs_encoder.state_mlp", encoder.state.mlp),
        *_sequential("model.diffusion_step_encoder", network.time.end, shift=1),
        *_sequential("model.diffusion_step_encoder_rs", network.time.start, shift=1),
        *_residual_blocks(network),
        *_block("model.final_conv.0", network.final),
        *_conv("model.final_conv.1", network.project),
    ]
    for level, shrink in enumerate(network.shrink):
        named += _conv(f"model.down_modules.{level}.2.conv", shrink)
    for level, grow in enumerate(network.grow):
        named += _conv(f"model.up_modules.{level}.2.conv", grow)
    return {name: value.detach().clone() for name, value in named}


def _residual_blocks(network: UNet1D) -> Named:
    places = [f"down_modules.{level}" for level in range(len(network.down))]
    places += ["mid_modules", *(f"up_modules.{level}" for level in range(len(network.up)))]
    pairs = [*network.down, network.middle, *network.up]
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
        name = names[id(block)]
        yield from _block(f"{name}.blocks.0", block.first)
        yield from _block(f"{name}.blocks.1", block.second)
        yield f"{name}.cond_encoder.1.weight", torch.cat([time, condition], dim=1)
        yield f"{name}.cond_encoder.1.bias", bias
        if not isinstance(block.residual, nn.Identity):
            yield from _conv(f"{name}.residual_conv", block.residual)


def _block(name: str, block: ConvBlock) -> Named:
    yield from _conv(f"{name}.block.0", block.conv)
    yield f"{name}.block.1.weight", block.norm.weight
    yield f"{name}.block.1.bias", block.norm.bias


def _conv(name: str, conv: Any) -> Named:
    yield f"{name}.weight", conv.full_weight()
    yield f"{name}.bias", conv.bias


def _sequential(name: str, layers: nn.Sequential, shift: int = 0) -> Named:
    for index, layer in enumerate(layers):
        for key, value in layer.named_parameters():
            yield f"{name}.{index + shift}.{key}", value
