"""Means over tasks with intervals that know of training seeds and shared evaluation seeds.

Episodes are no independent draws: those of one trained policy share its weights, and those of one
evaluation seed share their initial state. Their number therefore tells less than it seems to. Here
every mean gets the interval that Wilson's or Newcombe's formula gives for an *effective* number of
episodes, as in surveys (Korn & Graubard 1998, Survey Methodology 24, 193–201; Dean & Pagano 2015,
J. Surv. Stat. Methodol. 3, 484–503):

1. The variance of the mean is the sum of the tasks' (tasks are strata: they are given, not drawn).
   A task's is that of independent episodes, times a design effect.
2. The design effect is of training seeds and evaluation seeds, pooled over the tasks:
   :mod:`mfpolicy.evaluation.clustering`.
3. The quantile is Student's with the degrees of freedom of the training seeds, of those tasks on
   which policies vary at all (Satterthwaite).

The stratified bootstrap of Agarwal et al. (2021) resamples whole runs. With one run a task it has
nothing to resample, with three its variance is a third too small, and where all episodes succeeded
its interval is a point. This interval has none of these faults, and like any other it knows nothing
of training seeds where there was one: then the design effect is 1, and ``training_seeds`` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mfpolicy.errors import UserError
from mfpolicy.evaluation.clustering import DesignEffect, design_effect
from mfpolicy.evaluation.statistics import mcnemar_p, paired_interval, score_interval

Cell = Mapping[int, Mapping[int, bool]]
"""Outcomes of a task: training seed → evaluation seed → success."""

_Pairs = Mapping[int, Mapping[int, tuple[bool, bool]]]


@dataclass(frozen=True)
class MeanRate:
    """A mean over tasks of their success rates; every task counts alike.

    Attributes:
        rate: the mean. interval: its ends.
        tasks: how many. episodes: of all tasks.
        training_seeds: of the task with most of them.
        design_effect: how many times the variance of independent episodes.
    """

    rate: float
    interval: tuple[float, float]
    tasks: int
    episodes: int
    training_seeds: int
    design_effect: float


@dataclass(frozen=True)
class MeanDifference:
    """A mean over tasks of the difference between two policies' success rates, paired.

    Attributes:
        difference: rate of a minus rate of b. interval: its ends.
        tasks: how many. pairs: of episodes. only_a, only_b: in how many of them just one succeeded.
        training_seeds: of the task with most of them.
        design_effect: as in :class:`MeanRate`.
        p_value: exact McNemar test over all pairs, two-sided. It is about these trained policies;
            what other training seeds would have given is in the interval alone.
    """

    difference: float
    interval: tuple[float, float]
    tasks: int
    pairs: int
    only_a: int
    only_b: int
    training_seeds: int
    design_effect: float
    p_value: float


def mean_rate(
    outcomes: Mapping[str, Cell], confidence: float = 0.95, *, effect: DesignEffect | None = None
) -> MeanRate:
    """The mean success rate over tasks.

    Args:
        outcomes: task → training seed → evaluation seed → success.
        confidence: nominal coverage of the interval.
        effect: estimated from more tasks than these; None estimates it from these.

    Raises:
        UserError: there is no task, or one without episodes.

    Example:
        >>> half = {0: {seed: seed % 2 == 0 for seed in range(100)}}
        >>> all_up = {0: dict.fromkeys(range(100), True)}
        >>> result = mean_rate({"a/half": half, "a/all": all_up})
        >>> low, high = result.interval
        >>> f"{result.rate:.2f}, {low:.3f} to {high:.3f}"
        '0.75, 0.698 to 0.796'
    """
    _check(outcomes)
    effect = effect or design_effect(list(outcomes.values()))
    counts = [_count(cell) for cell in outcomes.values()]
    rates = [k / n for k, n in counts]
    # A task without a failure has some variance all the same: Jeffreys' half success and half
    # failure keep it from counting as certain.
    smooth = [(k + 0.5) / (n + 1) for k, n in counts]
    each = [p * (1 - p) / n for p, (_, n) in zip(smooth, counts, strict=True)]
    variance = effect.factor * sum(each) / len(each) ** 2
    rate, middle = float(np.mean(rates)), float(np.mean(smooth))
    interval = score_interval(rate, middle * (1 - middle) / variance, effect.quantile(confidence))
    return MeanRate(
        rate=rate,
        interval=interval,
        tasks=len(outcomes),
        episodes=sum(n for _, n in counts),
        training_seeds=max(len(cell) for cell in outcomes.values()),
        design_effect=effect.factor,
    )


def mean_difference(
    a: Mapping[str, Cell],
    b: Mapping[str, Cell],
    confidence: float = 0.95,
    *,
    effect: DesignEffect | None = None,
) -> MeanDifference:
    """The mean over tasks of the paired difference; a pair shares task and both seeds.

    Args:
        a: outcomes of one method, as in :func:`mean_rate`.
        b: outcomes of the other.
        confidence: nominal coverage of the interval.
        effect: of :func:`paired_effect` over more tasks than these; None estimates it from these.

    Raises:
        UserError: they have no pair in common.

    Example:
        >>> up, down = dict.fromkeys(range(20), True), dict.fromkeys(range(20), False)
        >>> result = mean_difference({"t": {0: up | {0: False}}}, {"t": {0: down, 1: up}})
        >>> result.difference, result.pairs, result.only_a, result.only_b
        (0.95, 20, 19, 0)
    """
    pairs = _paired(a, b)
    if not pairs:
        raise UserError(
            "methods are compared on cells of the same task, training seed and evaluation seeds",
            received="none is common",
            remedy="run the cells of both with the same seeds",
        )
    effect = effect or _effect_of(pairs)
    counts = np.array([_quadrants(cells) for cells in pairs.values()], dtype=float)  # (tasks, 4)
    totals = counts.sum(axis=1, keepdims=True)
    smooth = (counts + 0.25) / (totals + 1)
    variance = effect.factor * float((_variance(smooth) / totals[:, 0]).sum()) / len(counts) ** 2
    effective = float(_variance(smooth.mean(axis=0))) / variance
    both, only_a, only_b, neither = (counts / totals).mean(axis=0) * effective
    one, other = int(counts[:, 1].sum()), int(counts[:, 2].sum())
    return MeanDifference(
        difference=float(((counts[:, 1] - counts[:, 2]) / totals[:, 0]).mean()),
        interval=paired_interval((both, only_a, only_b, neither), effect.quantile(confidence)),
        tasks=len(pairs),
        pairs=int(totals.sum()),
        only_a=one,
        only_b=other,
        training_seeds=max(len(cells) for cells in pairs.values()),
        design_effect=effect.factor,
        p_value=mcnemar_p(one, other),
    )


def paired_effect(
    a: Mapping[str, Cell], b: Mapping[str, Cell], policies: Mapping[str, str] | None = None
) -> DesignEffect:
    """The design effect of the paired differences between two methods, over all their tasks.

    Args:
        a: outcomes of one method, as in :func:`mean_rate`.
        b: outcomes of the other.
        policies: task → a name that those share which are of the same trained policies, such as
            several perturbations of one task; None: each is of its own.
    """
    return _effect_of(_paired(a, b), policies)


def paired_cells(a: Cell, b: Cell) -> dict[int, dict[int, tuple[bool, bool]]]:
    """The outcomes of two policies that share training seed and evaluation seed."""
    joined = {
        seed: {
            episode: (a[seed][episode], b[seed][episode]) for episode in a[seed].keys() & b[seed]
        }
        for seed in a.keys() & b.keys()
    }
    return {seed: dict(sorted(cell.items())) for seed, cell in sorted(joined.items()) if cell}


def _paired(a: Mapping[str, Cell], b: Mapping[str, Cell]) -> dict[str, _Pairs]:
    pairs = {task: paired_cells(a[task], b[task]) for task in a if task in b}
    return {task: cell for task, cell in pairs.items() if cell}


def _effect_of(
    pairs: Mapping[str, _Pairs], policies: Mapping[str, str] | None = None
) -> DesignEffect:
    differences = [
        {s: {e: float(x) - float(y) for e, (x, y) in cell.items()} for s, cell in cells.items()}
        for cells in pairs.values()
    ]
    return design_effect(differences, [(policies or {}).get(task, task) for task in pairs])


def _variance(shares: np.ndarray) -> np.ndarray:
    """Of a pair's difference, from the shares (…, 4): both, only a, only b, neither."""
    return shares[..., 1] + shares[..., 2] - (shares[..., 1] - shares[..., 2]) ** 2


def _quadrants(cells: _Pairs) -> list[int]:
    pairs = [tuple(map(bool, pair)) for cell in cells.values() for pair in cell.values()]
    kinds = ((True, True), (True, False), (False, True), (False, False))
    return [pairs.count(kind) for kind in kinds]


def _count(cell: Cell) -> tuple[int, int]:
    flags = [bool(flag) for episodes in cell.values() for flag in episodes.values()]
    return sum(flags), len(flags)


def _check(outcomes: Mapping[str, Cell]) -> None:
    empty = [task for task, cell in outcomes.items() if _count(cell)[1] == 0]
    if not outcomes or empty:
        raise UserError("a mean over tasks needs episodes of each", received=empty or "no task")
