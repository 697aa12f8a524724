"""The path between data and noise on which an objective trains."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.base import per_row
from mfpolicy.objectives.noise import Noise
from mfpolicy.options import check_choice, check_range


@dataclass(frozen=True)
class Interpolant:
    """z_t = α(t) x + σ(t) e + γ(t) w, and its velocity v = dz_t/dt = α' x + σ' e + γ' w.

    α(0) = σ(1) = 1 and α(1) = σ(0) = 0: the path runs from data to noise whatever its shape, and
    the mean of v given z_t is the velocity of a flow between both. So whatever needs z_t and v
    alone, flow matching and MeanFlow's identity u = v − (t − r) du/dt among it, holds as it is;
    what takes the path for straight, z_s = z_t − (t − s) v at any distance, does not.

    ``linear``: α = 1 − t, σ = t. ``trigonometric``: α = cos(πt/2), σ = sin(πt/2), which keeps the
    variance of z_t where data have unit variance.

    γ(t) = latent · t (1 − t) adds latent noise w ~ N(0, I) between the ends.

    Attributes:
        kind: linear or trigonometric.
        latent: factor of γ; 0 adds no noise.

    Source: Albergo, Boffi & Vanden-Eijnden 2023, "Stochastic Interpolants: A Unifying Framework
    for Flows and Diffusions".

    Example:
        >>> x, e, t = torch.ones(1, 4, 2), torch.zeros(1, 4, 2), torch.ones(1) / 3
        >>> z, v = Interpolant(kind="trigonometric").at(x, e, t)
        >>> z[0, 0], v[0, 0]            # cos(π/6) and −π/2 sin(π/6)
        (tensor([0.8660, 0.8660]), tensor([-0.7854, -0.7854]))
    """

    kind: str = "linear"
    latent: float = 0.0

    def __post_init__(self) -> None:
        check_choice("path.kind", self.kind, ("linear", "trigonometric"))
        check_range("path.latent", self.latent, 0, 1e3)

    @property
    def straight(self) -> bool:
        """Whether the path is the line from data to noise, run through evenly."""
        return self.kind == "linear" and not self.latent

    def at(
        self,
        x: torch.Tensor,
        e: torch.Tensor,
        t: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns z_t and v, (B, Th, A) each.

        Args:
            x: (B, Th, A), data.
            e: (B, Th, A), noise.
            t: (B,).
            generator: draws w.
        """
        t = per_row(t, x)
        if self.kind == "linear":
            z, v = (1 - t) * x + t * e, e - x
        else:
            angle = math.pi / 2 * t
            alpha, sigma = angle.cos(), angle.sin()
            z, v = alpha * x + sigma * e, math.pi / 2 * (alpha * e - sigma * x)
        if self.latent:
            w = Noise().draw_like(x, generator)
            z, v = z + self.latent * t * (1 - t) * w, v + self.latent * (1 - 2 * t) * w
        return z, v


def check_path(path: Interpolant, noise: Noise, objective: str, needs_lines: str) -> None:
    """Raises ConfigError unless the objective and the noise can be used with the path.

    Args:
        path: of the objective.
        noise: of the objective.
        objective: its name, for the message.
        needs_lines: why nothing but a straight path will do; empty where others will.
    """
    received = {"kind": path.kind, "latent": path.latent}
    if needs_lines and not path.straight:
        raise ConfigError(
            f"path.kind must be linear and path.latent 0 for {objective}, because {needs_lines}",
            received=received,
            remedy="use meanflow, which takes any path",
        )
    if noise.kind == "bounded" and not path.straight:
        raise ConfigError(
            "path.kind must be linear and path.latent 0 with noise.kind=bounded, because other "
            "paths leave the box",
            received=received,
        )
