"""How the expert of each Adroit task is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from envs.experts.training.natural_gradient import StepSettings
from envs.experts.training.planner import PlannerSettings
from envs.experts.training.search import SearchSettings


@dataclass(frozen=True)
class Recipe:
    """How an expert is built.

    Attributes:
        planner: of the demonstrations. demonstrations: successful plans to begin with.
        episodes: of one iteration. iterations: at most.
        guide, guide_decay: weight of the demonstrations in the first step, and its decay.
        std: of exploration at first. least_std: at last. step: of the natural gradient.
        imitate: epochs of imitation before the first iteration.
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
    choose_every: int = 10
    choose_episodes: int = 100


@dataclass(frozen=True)
class SearchRecipe:
    """How an expert is built whose law is known but for its numbers.

    Attributes:
        search: for the numbers of the controller.
        rounds: of imitation (DAgger). episodes: of one round. epochs: of one round.
        noise: standard deviation of the actions' noise in them.
        width: of the network's two hidden layers.
        choose_episodes: two rounds are compared on these.
    """

    search: SearchSettings = field(default_factory=SearchSettings)
    rounds: int = 10
    episodes: int = 150
    epochs: int = 15
    noise: float = 0.05
    width: int = 96
    choose_episodes: int = 100


RECIPES: Mapping[str, Recipe | SearchRecipe] = {
    "door": Recipe(PlannerSettings(samples=32, noise=0.3)),
    "hammer": Recipe(PlannerSettings(samples=64, noise=0.4), demonstrations=8),
    "pen": Recipe(
        PlannerSettings(samples=48, noise=0.6, lookahead=24), demonstrations=16, episodes=200
    ),
    "relocate": SearchRecipe(),
}
