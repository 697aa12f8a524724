"""DDIM with DP3's settings: a network that denoises chunks in a hundred noise levels.

With ᾱ(s) = cos²(π/2 · (s + 0.008) / 1.008), β_i = min(1 − ᾱ((i + 1)/N) / ᾱ(i/N), 0.999) and
ᾱ_i = Π (1 − β_j), j ≤ i, training noises x to one of N levels and predicts x back:

    z_i = √ᾱ_i x + √(1 − ᾱ_i) e,    i ~ U{0, …, N − 1},    L = E ‖net(z_i, i | c) − x‖².

Sampling walks down a part of the levels; with x̂ = net(z, i) and ᾱ' of the next level (1 at last),

    z ← √ᾱ' clip(x̂) + √(1 − ᾱ') ε.                                                             (1)

``correct`` has ε = (z − √ᾱ_i x̂) / √(1 − ᾱ_i), as DDIM defines it and diffusers does today.
``legacy`` has ε = x̂, as diffusers 0.11.1 did for networks that predict x: the version that the
installation notes of DP3, FlowPolicy and MP1 pin. There the noise is gone after the first step,
and the sampler is an iterated regression. A published number under that pin is a legacy number.

The network sees the level as the time t = i / N in [0, 1]; with the network's top_frequency=100 its
embedding is that of the integer i in DP3.

Source: Song et al. 2021, "Denoising Diffusion Implicit Models", Eq. 12 with σ = 0; Nichol &
Dhariwal 2021 for the levels; Ze et al. 2024, DP3, for the settings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.base import OBJECTIVES, Diagnostics, Objective, at_time, per_row
from mfpolicy.objectives.coupling import Coupling
from mfpolicy.objectives.dispersive import Dispersive, evaluate
from mfpolicy.objectives.noise import Noise
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.objectives.weighting import Weighting
from mfpolicy.options import check_choice, check_whole, parse_options

MAX_BETA = 0.999


def signal_levels(count: int) -> torch.Tensor:
    """Returns ᾱ_i of the squared-cosine levels, (count,) float64.

    Example:
        >>> float(signal_levels(100)[0])  # doctest: +ELLIPSIS
        0.9993...
    """
    curve = [math.cos((i / count + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(count + 1)]
    keep = [max(b / a, 1 - MAX_BETA) for a, b in zip(curve[:-1], curve[1:], strict=True)]
    return torch.tensor(keep, dtype=torch.float64).cumprod(dim=0)


@OBJECTIVES.register("ddim")
class Ddim(Objective):
    """Denoising diffusion that predicts the clean chunk.

    Args:
        train_steps: N, noise levels.
        inference_steps: network evaluations where none are asked for.
        sampler: ``correct`` or ``legacy``, see Eq. 1.
        clip: clip every x̂ to [−1, 1], the range of normalised actions.
        weighting: options of :class:`Weighting`; by default every row weighs the same.
        dispersive: options of :class:`Dispersive`; it applies to networks, not to closed forms.
        noise: options of :class:`Noise`; gaussian or student_t.
        coupling: options of :class:`Coupling`. The correct sampler follows the flow of any
            coupling, because √ᾱ' x̂ + √(1 − ᾱ') ε needs only the means of x and e given z.

    Raises:
        ConfigError: an option is out of range, or the noise is bounded.

    Example:
        >>> half = lambda z, r, t: 0 * z + 0.5
        >>> Ddim().sample(half, torch.randn(1, 4, 2))[0, 0]
        tensor([0.5000, 0.5000])
    """

    predicts = "sample"

    def __init__(
        self,
        *,
        train_steps: int = 100,
        inference_steps: int = 10,
        sampler: str = "correct",
        clip: bool = True,
        weighting: Mapping[str, Any] | None = None,
        dispersive: Mapping[str, Any] | None = None,
        noise: Mapping[str, Any] | None = None,
        coupling: Mapping[str, Any] | None = None,
    ) -> None:
        check_whole("train_steps", train_steps, 2, 10_000)
        check_choice("sampler", sampler, ("correct", "legacy"))
        self.train_steps = train_steps
        self.sampler = sampler
        self.clip = clip
        self.weighting = parse_options(Weighting, weighting, {"power": 0.0})
        self.dispersive = parse_options(Dispersive, dispersive)
        self.noise = parse_options(Noise, noise)
        if self.noise.kind == "bounded":
            raise ConfigError(
                "noise.kind must be gaussian or student_t for Ddim, because √ᾱ x + √(1 − ᾱ) e "
                "leaves the box that both lie in",
                received=self.noise.kind,
                remedy="use an objective on straight lines, for example flow_matching",
            )
        self.coupling = parse_options(Coupling, coupling)
        self.levels = signal_levels(train_steps)
        self._signals = self.levels.tolist()  # a sampler that is exported reads no tensor's value
        self.step_choices = range(1, train_steps + 1)
        self.default_steps = self.check_steps(inference_steps)

    def loss(
        self, velocity: Velocity, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, Diagnostics]:
        """Returns the loss on normalised action chunks (B, Th, A), and its mean square."""
        x = actions
        e = self.coupling.pair(velocity, x, self.noise.draw_like(x, generator))
        level = torch.randint(self.train_steps, (len(x),), device=x.device, generator=generator)
        signal = per_row(self.levels.to(x.dtype).to(x.device)[level], x)
        z = signal.sqrt() * x + (1 - signal).sqrt() * e
        t = level.to(x.dtype) / self.train_steps
        predicted, features = evaluate(velocity, z, torch.zeros_like(t), t)
        loss = self.weighting.loss(predicted - x).mean()
        diagnostics = {"mse": (predicted - x).detach().square().mean()}
        return self.dispersive.add(loss, diagnostics, velocity, features), diagnostics

    def sample(
        self,
        velocity: Velocity,
        noise: torch.Tensor,
        steps: int | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Denoises noise (B, Th, A) at ``steps`` levels, ⌊N / steps⌋ apart, down to level 0."""
        steps = self.check_steps(steps)
        stride = self.train_steps // steps
        z = noise
        for level in range((steps - 1) * stride, -1, -stride):
            signal = self._signals[level]
            after = self._signals[level - stride] if level else 1.0
            x = velocity(z, at_time(0, z), at_time(level / self.train_steps, z))
            e = x if self.sampler == "legacy" else (z - signal**0.5 * x) / (1 - signal) ** 0.5
            clean = x.clamp(-1, 1) if self.clip else x
            z = after**0.5 * clean + (1 - after) ** 0.5 * e
        return z
