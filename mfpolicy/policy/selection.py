"""Several chunks for one observation: the noise they start from, and how one is chosen."""

from __future__ import annotations

import torch

from mfpolicy.errors import ConfigError, ObservationError
from mfpolicy.objectives.base import Objective
from mfpolicy.objectives.reward import Reward
from mfpolicy.objectives.tilting import Tilting
from mfpolicy.options import check_whole


def candidates(
    objective: Objective,
    *,
    steps: int | None,
    best_of: int,
    reward: Reward | None,
    tilting: Tilting | None,
) -> int:
    """Returns how many chunks an observation gets, N.

    Raises:
        ConfigError: the options do not go together, or are not defined for the objective.
    """
    check_whole("best_of", best_of, 1, 100_000)
    if reward is None:
        if best_of > 1 or tilting is not None:
            raise ConfigError("best_of and tilting need a reward", remedy="pass reward=…")
        return 1
    if tilting is None:
        if best_of > 1 and not objective.stochastic:
            raise ConfigError(
                "best_of needs an objective that gives another chunk for other noise",
                received=type(objective).__name__,
                remedy="leave best_of out",
            )
        return best_of
    if best_of > 1 or steps is not None:
        raise ConfigError(
            "tilting has particles and steps of its own; it takes no best_of and no steps",
            received={"best_of": best_of, "steps": steps},
            remedy="use Tilting(particles=…, steps=…)",
        )
    tilting.check(objective)
    return tilting.particles


def starting_noise(
    shape: tuple[int, int, int, int],
    objective: Objective,
    like: torch.Tensor,
    noise: torch.Tensor | None,
    generator: torch.Generator | None,
) -> torch.Tensor:
    """Returns the noise that was given, or draws the objective's, (B, N, Th, A).

    Args:
        shape: B, N, Th and A.
        objective: whose noise it is.
        like: gives dtype and place.
        noise: of that shape, or (B, Th, A) where N is 1; None draws.
        generator: to draw with.

    Raises:
        ObservationError: the noise has another shape.
    """
    rows, count, *chunk = shape
    if noise is None:
        device = generator.device if generator is not None else like.device
        noise = objective.noise.draw((rows * count, *chunk), device=device, generator=generator)
        noise = noise.view(shape)
    if count == 1 and noise.ndim == 3:
        noise = noise[:, None]
    if tuple(noise.shape) != shape:
        plain = f"(B, Th, A) = {(rows, *chunk)}"
        wanted = plain if count == 1 else f"(B, N, Th, A) = {shape}"
        raise ObservationError(f"noise must have shape {wanted}", received=tuple(noise.shape))
    return noise.to(like)
