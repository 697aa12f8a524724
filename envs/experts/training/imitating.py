"""From a controller to an expert's file: search its numbers, imitate it, choose. Resumable."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from envs.experts.network import NetworkExpert
from envs.experts.training.carrier import Carrier, Numbers
from envs.experts.training.comparing import Choice, goal_at_end, write_arrays
from envs.experts.training.episodes import Acting, run
from envs.experts.training.policy import GaussianPolicy, imitate
from envs.experts.training.recipes import SearchRecipe
from envs.experts.training.scene import Scene
from envs.experts.training.search import Search

Pairs = tuple[NDArray[Any], NDArray[Any]]  # observations (N, O), actions (N, A)
SEARCH_SEED, ROUND_SEED = 7_000_000, 8_000_000


def build_by_search(
    task: str,
    recipe: SearchRecipe,
    folder: Path,
    *,
    cpu_hours: float,
    report: Callable[[str], None],
) -> Path:
    """Builds the expert of ``task`` in ``folder`` and returns its file, ``TASK.npz``.

    A call that was stopped goes on from its last iteration or round.

    Args:
        task: ``relocate``.
        recipe: how.
        folder: of intermediate results.
        cpu_hours: of this build in all; the search ends with three quarters of them, imitation
            with all.
        report: is given one line per iteration and round.
    """
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    scene = Scene(task)
    numbers, cpu_s = _found(scene, recipe, folder, cpu_hours * 0.75 * 3600, report)
    teacher = Carrier(numbers, scene.center, scene.scale)
    student: GaussianPolicy | None = None
    choice: Choice | None = None
    pairs: list[Pairs] = []
    for number in range(recipe.rounds):
        if cpu_s > cpu_hours * 3600:
            break
        path, started = folder / f"round_{number}.npz", time.process_time()
        if not path.exists():
            acting = teacher if student is None else NetworkExpert(student.arrays())
            observations, actions = _labelled(scene, recipe, number, acting, teacher)
            write_arrays(path, observations=observations, actions=actions)
        with np.load(path, allow_pickle=False) as file:
            pairs.append((file["observations"], file["actions"]))
        student = _student(recipe, pairs)
        if choice is None:
            choice = Choice(scene, recipe.choose_episodes, student.arrays())
        line = choice.compare(student.arrays(), number + 1)
        cpu_s += time.process_time() - started
        report(f"round {number + 1}: {line}, {cpu_s / 60:.1f} min")
    if choice is None:
        raise ValueError(f"cpu_hours must leave time to imitate. Received: {cpu_hours}.")
    return choice.write(folder / f"{task}.npz", task, cpu_s)


def _labelled(
    scene: Scene, recipe: SearchRecipe, number: int, acting: Acting, teacher: Carrier
) -> Pairs:
    """The observations of a round of ``acting``, and what the teacher would have done in each."""
    first = ROUND_SEED + number * recipe.episodes
    noise = np.full(scene.action_dim, recipe.noise)
    seeds = range(first, first + recipe.episodes)
    episodes = [run(scene, acting, seed, noise, noise_seed=seed) for seed in seeds]
    observations = np.concatenate([episode.observations for episode in episodes])
    return observations, np.array([teacher.output(row) for row in observations])


def _student(recipe: SearchRecipe, pairs: list[Pairs]) -> GaussianPolicy:
    """A network that was fitted to all pairs; its normalisation is that of the first round."""
    mean, scale = pairs[0][0].mean(0), np.maximum(pairs[0][0].std(0), 0.03)
    torch.manual_seed(0)
    student = GaussianPolicy(mean, scale, pairs[0][1].shape[1], width=recipe.width)
    observations, actions = (
        torch.as_tensor(np.concatenate(parts), dtype=torch.float32)
        for parts in zip(*pairs, strict=True)
    )
    imitate(student, observations, actions, epochs=recipe.epochs, seed=0)
    _hold_still(student, actions)
    return student


@torch.no_grad()
def _hold_still(student: GaussianPolicy, actions: torch.Tensor) -> None:
    """Makes the output exact where actions (N, A) never change.

    A policy that learns from demonstrations scales each action by its range: a thousandth of noise
    would be all that there is.
    """
    last = student.layers[-1]
    assert isinstance(last, torch.nn.Linear)
    still = actions.min(0).values == actions.max(0).values
    last.weight[still], last.bias[still] = 0.0, actions[0, still]


def _found(
    scene: Scene,
    recipe: SearchRecipe,
    folder: Path,
    limit_s: float,
    report: Callable[[str], None],
) -> tuple[Numbers, float]:
    """The numbers that were found, and the CPU seconds that it took."""
    settings, path = recipe.search, folder / "search.npz"
    search, cpu_s = Search(Numbers.first().vector(), settings), 0.0
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            search.mean, search.spread = file["mean"], file["spread"]
            search.iteration, cpu_s = int(file["iteration"]), float(file["cpu_s"])
    noise = np.full(scene.action_dim, settings.noise)
    while search.iteration < settings.iterations and cpu_s < limit_s:
        started = time.process_time()
        first = SEARCH_SEED + search.iteration * settings.episodes
        ends: list[float] = []

        def score(candidate: NDArray[np.float64], first: int = first) -> float:
            carrier = Carrier(Numbers.of(candidate), scene.center, scene.scale)
            seeds = range(first, first + settings.episodes)
            episodes = [run(scene, carrier, seed, noise, noise_seed=seed) for seed in seeds]
            ends.append(goal_at_end(episodes))  # noqa: B023  # called in this iteration alone
            return float(np.mean([episode.rewards.mean() for episode in episodes]))

        mean = search.improve(score)
        cpu_s += time.process_time() - started
        write_arrays(
            path, mean=search.mean, spread=search.spread, iteration=search.iteration, cpu_s=cpu_s
        )
        report(
            f"search {search.iteration}: goal at the end {np.mean(ends):.2f}, reward {mean:.3f}, "
            f"spread {search.spread.mean():.3f}, {cpu_s / 60:.1f} min"
        )
    return Numbers.of(search.mean), cpu_s
