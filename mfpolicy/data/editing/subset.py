"""Some episodes, or some arrays, of a dataset."""

from __future__ import annotations

import dataclasses
import os

from mfpolicy.data.editing.rewriting import EditReport, Plan, Progress, open_source, rewrite
from mfpolicy.data.editing.selection import parse_episodes
from mfpolicy.data.episode import Episode
from mfpolicy.data.reader import Dataset
from mfpolicy.data.schema import REQUIRED_ARRAYS
from mfpolicy.errors import ConfigError, did_you_mean


def subset(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    episodes: str = "all",
    success: bool | None = None,
    first: int | None = None,
    arrays: str = "all",
    progress: Progress | None = None,
) -> EditReport:
    """Writes the chosen episodes of ``source`` to ``out``, bit for bit.

    Args:
        source: the dataset.
        out: folder of the dataset to write, or to continue.
        episodes: which, as :func:`~mfpolicy.data.editing.selection.parse_episodes` reads them.
        success: of these, only those that succeeded (true) or failed (false); None takes both.
        first: of these, only the first so many.
        arrays: which arrays beside points, states and actions: ``all``, ``none``, or names with
            commas between them.
        progress: called after each episode.

    Raises:
        ConfigError: a value cannot be read, or names what is not there.
        DataError: as :func:`~mfpolicy.data.editing.rewriting.rewrite`.

    Example:
        >>> subset("data/all.zarr", "data/ten.zarr", first=10).episodes   # doctest: +SKIP
        10
    """
    dataset = open_source(source)
    chosen = parse_episodes(episodes, dataset.episode_count)
    if success is not None:
        assert dataset.success is not None
        chosen = [index for index in chosen if bool(dataset.success[index]) is success]
    if first is not None:
        if not 1 <= first <= len(chosen):
            raise ConfigError(
                f"first must be among 1 and the {len(chosen)} episodes there are", received=first
            )
        chosen = chosen[:first]
    kept = _kept_arrays(dataset, arrays)
    options = {"episodes": episodes, "success": success, "first": first, "arrays": arrays}
    plan = Plan(
        operation="subset",
        options=options,
        sources=[dataset],
        picks=[(0, index) for index in chosen],
        spec=dataset.spec,
        change=lambda episode, pick: only(episode, kept),
    )
    return rewrite(plan, out, progress)


def only(episode: Episode, kept: set[str]) -> Episode:
    """The episode with no arrays beside points, states, actions and those ``kept``."""
    return dataclasses.replace(
        episode,
        color=episode.color if "color" in kept else None,
        extras={name: values for name, values in episode.extras.items() if name in kept},
    )


def _kept_arrays(dataset: Dataset, arrays: str) -> set[str]:
    there = set(dataset.array_names) - set(REQUIRED_ARRAYS)
    if arrays in ("all", "none"):
        return there if arrays == "all" else set()
    names = {name.strip() for name in arrays.split(",")}
    for name in sorted(names - there):
        raise ConfigError(
            f"arrays must be all, none, or among {', '.join(sorted(there)) or 'none'}",
            received=name,
            remedy=did_you_mean(name, there) if there else "arrays=none",
        )
    return names
