"""Action error on episodes that training does not see, and the stop that may follow from it."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch

from mfpolicy.config.schema import TrainConfig, ValidationConfig
from mfpolicy.data import Dataset
from mfpolicy.data.joint import Windows
from mfpolicy.errors import ConfigError
from mfpolicy.policy import Policy
from mfpolicy.types import Observation

METRIC = "heldout_action_rmse"
_CHOICE, _NOISE = 2, 3
_ROWS = 256


def split_episodes(dataset: Dataset, config: TrainConfig) -> tuple[list[int], list[int]]:
    """Returns the episodes to train on and those held out, a choice by the run's seed.

    Raises:
        ConfigError: nothing would be left to train on.
    """
    count = len(dataset.episode_ends)
    held = config.validation.episodes
    if held >= count:
        raise ConfigError(
            f"validation.episodes must leave an episode to train on, at most {count - 1}",
            received=held,
            remedy="collect more episodes, or set validation.episodes=0",
        )
    order = np.random.default_rng([config.seed, _CHOICE]).permutation(count).tolist()
    return sorted(order[held:]), sorted(order[:held])


class Heldout:
    """Measures the averaged policy on held-out windows and remembers the best.

    Args:
        policy: the policy that is trained; a copy of it takes the averaged weights.
        windows: of the held-out episodes.
        options: how often, and how long to wait for a better error.
        seed: the run's seed; the same noise is used every time.

    Attributes:
        best: the smallest error so far. waited: measurements since.
    """

    def __init__(
        self, policy: Policy, windows: Windows, options: ValidationConfig, *, seed: int
    ) -> None:
        self._policy = copy.deepcopy(policy).eval()
        self._windows, self._options, self._seed = windows, options, seed
        self.best, self.waited = math.inf, 0

    def is_due(self, step: int) -> bool:
        """Whether to measure after this step."""
        return step % self._options.every == 0

    def measure(self, state: dict[str, torch.Tensor]) -> float:
        """Returns the root mean squared error of executed actions, in normalised units.

        The normaliser maps each action dimension's range in training to [−1, 1]: an error of 1 is
        half that range.

        Args:
            state: the averaged weights, as a state dict.
        """
        policy = self._policy
        policy.load_state_dict(state)
        first = policy.spec.n_obs_steps - 1
        executed = slice(first, first + policy.spec.n_action_steps)
        seeds = np.random.SeedSequence([self._seed, _NOISE]).generate_state(1)
        generator = torch.Generator(policy.device).manual_seed(int(seeds[0]))
        total = torch.zeros((), dtype=torch.float64, device=policy.device)
        for rows in torch.arange(len(self._windows)).split(_ROWS):
            batch = self._windows.batch(rows)
            observation = Observation(batch.point_cloud, batch.agent_pos, batch.task)
            actions = policy.predict(observation, generator=generator)
            scaled = policy.normalizer.action(actions)
            wanted = policy.normalizer.action(batch.action[:, executed])
            total += (scaled - wanted).double().square().mean(dim=(1, 2)).sum()
        return math.sqrt(float(total) / len(self._windows))

    def note(self, error: float) -> None:
        """Takes the error of a measurement into account."""
        better = error < self.best
        self.best, self.waited = (error, 0) if better else (self.best, self.waited + 1)

    @property
    def is_stale(self) -> bool:
        """Whether the error has not become better for as long as the options allow."""
        patience = self._options.patience
        return patience is not None and self.waited >= patience

    def to_numbers(self) -> dict[str, float]:
        """What a resume needs; the best error is left out where there is none yet."""
        best = {"heldout_best": self.best} if math.isfinite(self.best) else {}
        return {**best, "heldout_waited": self.waited}

    def restore(self, numbers: dict[str, float]) -> None:
        """Takes up what :meth:`to_numbers` gave."""
        self.best = numbers.get("heldout_best", math.inf)
        self.waited = int(numbers.get("heldout_waited", 0))
