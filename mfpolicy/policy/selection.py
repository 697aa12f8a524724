"""Several chunks for one observation, and how one of them is chosen by a reward."""

from __future__ import annotations

from mfpolicy.errors import ConfigError
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
