"""The noise that chunks are made from: its distribution, and the box that samples keep to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.options import check_choice, check_range


@dataclass(frozen=True)
class Noise:
    """Distribution of e, in training and wherever a sampler is given no noise.

    ``gaussian``: e ~ N(0, I).

    ``student_t``: e = g / √(χ²_D / D), g ~ N(0, I), with one χ²_D for the whole chunk: the
    multivariate Student t. Perturbing data with it along z_t = (1 − t) x + t e is PFGM++ with D
    extra dimensions, and D → ∞ is Gaussian (Xu et al. 2023, "PFGM++: Unlocking the Potential of
    Physics-Inspired Generative Models"). Its covariance is D / (D − 2) I.

    ``bounded``: e uniform on the box [−bound, bound]. A line from e to an action in the box never
    leaves it, so training is unchanged, and every step of a sampler is brought back into the box:
    by reflection, as Xie et al. 2024, "Reflected Flow Matching", or by clipping, which leaves
    actions at the bound where they are (a gripper's, say) and reflection would throw back.

    Attributes:
        kind: gaussian, student_t or bounded.
        degrees: D, degrees of freedom of student_t.
        bound: half the box's width; normalised actions fill [−1, 1].
        edge: what becomes of a step beyond the bound, ``clip`` or ``reflect``.

    Example:
        >>> Noise(kind="bounded", edge="reflect").contain(torch.tensor([0.5, 1.25, 3.5]))
        tensor([ 0.5000,  0.7500, -0.5000])
    """

    kind: str = "gaussian"
    degrees: float = 32.0
    bound: float = 1.0
    edge: str = "clip"

    def __post_init__(self) -> None:
        check_choice("noise.kind", self.kind, ("gaussian", "student_t", "bounded"))
        check_choice("noise.edge", self.edge, ("clip", "reflect"))
        check_range("noise.bound", self.bound, 1, 1e3)
        if not 2 < self.degrees <= 1e9:
            raise ConfigError(
                "noise.degrees must be above 2, where the noise has a variance, and at most 1e9",
                received=self.degrees,
            )

    def draw(
        self,
        shape: Sequence[int],
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Draws noise of ``shape``, (B, Th, A) for chunks; the first axis counts chunks."""
        if self.kind == "bounded":
            uniform = torch.rand(tuple(shape), device=device, dtype=dtype, generator=generator)
            return self.bound * (2 * uniform - 1)
        normal = torch.randn(tuple(shape), device=device, dtype=dtype, generator=generator)
        if self.kind == "gaussian":
            return normal
        rows = (shape[0], *[1] * (len(shape) - 1))
        half = torch.full(rows, self.degrees / 2, device=normal.device, dtype=normal.dtype)
        # χ²_D / D = Gamma(D / 2) / (D / 2), as torch.distributions draws it, but with a generator.
        gamma = torch._standard_gamma(half, generator=generator)  # pyright: ignore[reportPrivateImportUsage]
        return normal / (gamma / half).sqrt()

    def draw_like(
        self, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Draws noise for ``actions`` (B, Th, A), in their shape, dtype and place."""
        device = generator.device if generator is not None else actions.device
        noise = self.draw(actions.shape, device=device, dtype=actions.dtype, generator=generator)
        return noise.to(actions.device)

    def contain(self, z: torch.Tensor) -> torch.Tensor:
        """Brings a sampler's step back into the box of bounded noise; other noise has no box."""
        if self.kind != "bounded":
            return z
        if self.edge == "clip":
            return z.clamp(-self.bound, self.bound)
        wave = (z + self.bound).remainder(4 * self.bound)
        folded = torch.where(wave <= 2 * self.bound, wave, 4 * self.bound - wave) - self.bound
        # Inside the box nothing is to change, not even by rounding.
        return torch.where(z.abs() <= self.bound, z, folded)
