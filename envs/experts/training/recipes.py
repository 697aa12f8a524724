"""How the expert of each Adroit task is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from envs.experts.training.natural_gradient import StepSettings
from envs.experts.training.planner import PlannerSettings


@dataclass(frozen=True)
class Recipe:
    """How an expert is built.

    Attributes:
        planner: of the demonstrations. demonstrations: successful plans to begin with.
        episodes: of one iteration. iterations: at most.
        guide, guide_decay: weight of the demonstrations in the first step, and its decay.
        std: of exploration at first. least_std: at last. step: of the natural gradient.
        imitate: epochs of imitation before the first iteration.
        from_plans: share of the episodes that begin within a demonstration, where what matters
            happens, in place of a task's own start.
        choose_every: iterations between two comparisons on ``choose_episodes`` fixed seeds.
    """

    planner: PlannerSettings
    demonstrations: int = 12
    episodes: int = 100
    iterations: int = 1000
    guide: float = 0.1
    guide_decay: float = 0.97
    std: float = 0.3
    least_std: float = 0.08
    step: StepSettings = field(default_factory=StepSettings)
    imitate: int = 30
    from_plans: float = 0.0
    choose_every: int = 10
    choose_episodes: int = 100


RECIPES: Mapping[str, Recipe] = {
    "door": Recipe(PlannerSettings(samples=32, noise=0.3)),
    "hammer": Recipe(PlannerSettings(samples=64, noise=0.4), demonstrations=8),
    "pen": Recipe(
        PlannerSettings(samples=48, noise=0.6, lookahead=24), demonstrations=16, episodes=200
    ),
    "relocate": Recipe(
        PlannerSettings(samples=48, noise=0.4, lookahead=24),
        demonstrations=7,
        imitate=150,
        from_plans=0.5,
    ),
}
