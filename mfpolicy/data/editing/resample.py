"""Fewer points a cloud, fewer steps a second."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from mfpolicy.data.editing.rate import BEYOND, RateChange, action_rules, whole_factor
from mfpolicy.data.editing.rewriting import EditReport, Plan, Progress, open_source, rewrite
from mfpolicy.data.episode import Episode
from mfpolicy.data.reader import Dataset
from mfpolicy.data.schema import DatasetSpec
from mfpolicy.errors import ConfigError
from mfpolicy.pointcloud import sample_in_turns

METHODS = ("prefix", "fps")


def resample(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    points: int | None = None,
    method: str = "prefix",
    factor: int | None = None,
    rate_hz: float | None = None,
    actions: str = "auto",
    action_kinds: Sequence[str] = (),
    limit: float | None = None,
    beyond: str = "refuse",
    progress: Progress | None = None,
) -> EditReport:
    """Writes ``source`` with fewer points, a lower control rate, or both.

    Args:
        source: the dataset.
        out: folder of the dataset to write, or to continue.
        points: points per cloud; None leaves them.
        method: ``prefix`` takes the first ones: clouds lie in farthest-point order, so this is
            the cloud that the recipe with fewer points gives, bit for bit. ``fps`` samples anew
            among the stored points, for clouds that lie in another order.
        factor: k, one step for every k.
        rate_hz: the rate that this leads to, in its place.
        actions: what one action for k is, as :func:`~mfpolicy.data.editing.rate.action_rules`
            reads it.
        action_kinds: what each dimension commands, for ``actions="auto"``.
        limit: largest magnitude of an action; None knows of none.
        beyond: ``refuse``, ``clip`` or ``keep`` actions beyond it.
        progress: called after each episode.

    Raises:
        ConfigError: nothing is asked for, or something that cannot be.
        DataError: actions would exceed the limit; or as
            :func:`~mfpolicy.data.editing.rewriting.rewrite`.

    Example:
        >>> resample("data/a.zarr", "data/a20.zarr", rate_hz=20, actions="mean")  # doctest: +SKIP
    """
    dataset = open_source(source)
    if points is None and factor is None and rate_hz is None:
        raise ConfigError("resample needs points=…, factor=… or rate_hz=…")
    _check_points(dataset, points, method)
    change = _rate_change(dataset, factor, rate_hz, actions, action_kinds, limit, beyond)
    every = range(dataset.episode_count)
    parts = 1 if dataset.spec.recipe is None else dataset.spec.recipe.parts
    notes: dict[str, str] = {}
    if change is not None:
        exceeding, steps = change.beyond_limit(dataset, every)
        notes["actions"] = ", ".join(sorted(set(change.rules)))
        if exceeding:
            done = "clipped" if beyond == "clip" else "kept"
            notes["beyond the limit"] = f"{exceeding} of {steps} steps, {done}"

    def changed(episode: Episode, pick: tuple[int, int]) -> Episode:
        if change is not None:
            episode = change.apply(episode)
        return episode if points is None else fewer_points(episode, points, method, parts)

    plan = Plan(
        operation="resample",
        options=_options(points, method, change),
        sources=[dataset],
        picks=[(0, index) for index in every],
        spec=_spec(dataset, points, change),
        change=changed,
    )
    return dataclasses.replace(rewrite(plan, out, progress), notes=notes)


def fewer_points(episode: Episode, points: int, method: str, parts: int) -> Episode:
    """The episode with ``points`` points a cloud of ``parts`` in turns, and their colors."""
    if method == "prefix":
        cloud = np.ascontiguousarray(episode.point_cloud[:, :points])
        color = None if episode.color is None else np.ascontiguousarray(episode.color[:, :points])
        return dataclasses.replace(episode, point_cloud=cloud, color=color)
    values = [episode.point_cloud]
    if episode.color is not None:
        values.append(episode.color.astype(np.float32))
    clouds = np.stack(
        [
            sample_in_turns([frame[k::parts] for k in range(parts)], points)
            for frame in np.concatenate(values, axis=2)
        ]
    )
    color = None if episode.color is None else clouds[..., 3:].astype(np.uint8)
    return dataclasses.replace(episode, point_cloud=clouds[..., :3].copy(), color=color)


def _check_points(dataset: Dataset, points: int | None, method: str) -> None:
    if method not in METHODS:
        raise ConfigError(f"method must be one of {', '.join(METHODS)}", received=method)
    if points is not None and not 1 <= points <= dataset.spec.points:
        raise ConfigError(
            f"points must be among 1 and the {dataset.spec.points} that are stored",
            received=points,
            remedy="`mfpolicy data recompute` makes more of them, from stored depth",
        )
    if points is not None and dataset.spec.recipe is not None:
        dataset.spec.recipe.check_points(points)


def _rate_change(
    dataset: Dataset,
    factor: int | None,
    rate_hz: float | None,
    actions: str,
    action_kinds: Sequence[str],
    limit: float | None,
    beyond: str,
) -> RateChange | None:
    if beyond not in BEYOND:
        raise ConfigError(f"beyond must be one of {', '.join(BEYOND)}", received=beyond)
    if factor is not None and rate_hz is not None:
        raise ConfigError("say factor or rate_hz, not both", received=(factor, rate_hz))
    if rate_hz is not None:
        factor = whole_factor(dataset.spec.control_rate_hz, rate_hz)
    if factor is None:
        return None
    if factor < 2:
        raise ConfigError(
            "factor must be at least 2: what lies between two recorded steps is not known",
            received=factor,
        )
    rules = action_rules(actions, action_kinds, dataset.spec.action_dim)
    return RateChange(factor, rules, limit, beyond)


def _options(points: int | None, method: str, change: RateChange | None) -> dict[str, object]:
    options: dict[str, object] = {}
    if points is not None:
        options |= {"points": points, "method": method}
    if change is not None:
        options |= dataclasses.asdict(change)
    return options


def _spec(dataset: Dataset, points: int | None, change: RateChange | None) -> DatasetSpec:
    spec = dataset.spec
    if points is not None:
        recipe = None if spec.recipe is None else dataclasses.replace(spec.recipe, points=points)
        spec = dataclasses.replace(spec, points=points, recipe=recipe)
    if change is not None and spec.control_rate_hz is not None:
        rate_hz = spec.control_rate_hz / change.factor
        spec = dataclasses.replace(spec, control_rate_hz=rate_hz)
    return spec
