"""Dispersive regularisation: spread hidden features of different rows (Wang & He 2025)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.velocity import ConditionalVelocity, Velocity
from mfpolicy.options import check_choice, check_range

KINDS = ("none", "reference", "info_nce_l2", "cosine", "hinge", "covariance")


@dataclass(frozen=True)
class Dispersive:
    """A loss that is lower the farther apart the rows' features lie.

    With D_ij the squared distance of rows i and j, divided by the feature size:

    - ``reference``: log mean_ij exp(−D_ij / (τ max D)), diagonal included, as in MP1's code.
      Dividing by the batch maximum makes it blind to scale and bounds it by −1 / τ.
    - ``info_nce_l2``: log mean_{i≠j} exp(−D_ij / τ) (Wang & He 2025, Eq. 6).
    - ``cosine``: the same with D_ij = −cos(z_i, z_j).
    - ``hinge``: mean_{i≠j} max(0, margin − D_ij)².
    - ``covariance``: mean squared off-diagonal covariance of the normalised features.

    Attributes:
        kind: one of the above, or none.
        weight: factor on the sum over feature layers.
        temperature: τ. margin: of the hinge.
        source: ``network`` (hidden features of the noisy pass) or ``encoder`` (the condition).
        near_steps: leave out pairs of frames of one episode that are at most this many steps
            apart, which are alike for good reason; 0 leaves none out.
    """

    kind: str = "none"
    weight: float = 0.5
    temperature: float = 1.0
    margin: float = 1.0
    source: str = "network"
    near_steps: int = 0

    def __post_init__(self) -> None:
        check_choice("dispersive.kind", self.kind, KINDS)
        check_choice("dispersive.source", self.source, ("network", "encoder"))
        check_range("dispersive.weight", self.weight, 0, float("inf"))
        if not self.temperature > 0:
            raise ConfigError("dispersive.temperature must be above 0", received=self.temperature)

    @property
    def active(self) -> bool:
        """Whether there is anything to compute."""
        return self.kind != "none" and self.weight > 0

    def add(
        self,
        loss: torch.Tensor,
        diagnostics: dict[str, torch.Tensor],
        velocity: Velocity,
        features: list[torch.Tensor],
    ) -> torch.Tensor:
        """Returns ``loss`` with the weighted term, and notes the term in ``diagnostics``.

        Args:
            loss: scalar.
            diagnostics: gets the entry ``dispersive``.
            velocity: what was evaluated; a closed form has nothing to spread.
            features: its hidden features, each (B, D), as :func:`evaluate` returns them.
        """
        if not self.active or not isinstance(velocity, ConditionalVelocity):
            return loss
        if self.source == "encoder" and velocity.condition is not None:
            features = [velocity.condition]
        spread = self.loss(features, velocity.gap)
        diagnostics["dispersive"] = spread.detach()
        return loss + self.weight * spread

    def loss(self, features: list[torch.Tensor], gap: torch.Tensor | None = None) -> torch.Tensor:
        """Returns the sum over layers, unweighted.

        Args:
            features: layers of (B, D).
            gap: (B, B) int64, steps between the frames of two rows, −1 across episodes.

        Raises:
            ConfigError: the network has no hidden layer to spread, as a U-Net of one level.
        """
        if not features:
            raise ConfigError(
                "a dispersive loss needs a hidden layer of the network",
                received="a network without one, as a U-Net of one level",
                remedy="set objective.dispersive.source=encoder, or give the network more levels",
            )
        return torch.stack([self._layer(_at_least_float32(z), gap) for z in features]).sum()

    def _layer(self, z: torch.Tensor, gap: torch.Tensor | None) -> torch.Tensor:
        if self.kind == "covariance":
            return _covariance(z)
        if self.kind == "cosine":
            z = torch.nn.functional.normalize(z, dim=1)
            distance = -z @ z.T
        else:
            distance = _squared_distances(z) / z.shape[1]
        if self.kind == "reference":
            scaled = distance / distance.max().clamp(min=1e-12)
            return torch.exp(-scaled / self.temperature).mean().log()
        keep = ~torch.eye(len(z), dtype=torch.bool, device=z.device)
        if self.near_steps and gap is not None:
            keep &= (gap < 0) | (gap > self.near_steps)
        pairs = distance[keep]
        if pairs.numel() == 0:
            return z.sum() * 0
        if self.kind == "hinge":
            return (self.margin - pairs).clamp(min=0).square().mean()
        return (
            torch.logsumexp(-pairs / self.temperature, dim=0)
            - torch.tensor(float(pairs.numel()), device=z.device).log()
        )


def evaluate(
    velocity: Velocity, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Returns u (B, Th, A) and a network's hidden features, each (B, D); a closed form has none."""
    if isinstance(velocity, ConditionalVelocity):
        return velocity.features(z, r, t)
    return velocity(z, r, t), []


def _at_least_float32(z: torch.Tensor) -> torch.Tensor:
    """Distances are small differences of large squares, which half precision cannot hold."""
    return z.to(torch.promote_types(z.dtype, torch.float32))


def _squared_distances(z: torch.Tensor) -> torch.Tensor:
    """(B, D) → (B, B), through the Gram matrix: B² D work without a (B, B, D) tensor."""
    squares = z.square().sum(dim=1)
    return (squares[:, None] + squares[None] - 2 * z @ z.T).clamp(min=0)


def _covariance(z: torch.Tensor) -> torch.Tensor:
    z = torch.nn.functional.normalize(z, dim=1)
    z = z - z.mean(dim=0)
    covariance = z.T @ z / max(len(z) - 1, 1)
    off = covariance - torch.diag(torch.diagonal(covariance))
    return off.square().sum() / z.shape[1]
