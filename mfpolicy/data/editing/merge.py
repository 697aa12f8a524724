"""Several datasets as one."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence

from mfpolicy.data.editing.rewriting import EditReport, Plan, Progress, open_source, rewrite
from mfpolicy.data.editing.subset import only
from mfpolicy.data.reader import Dataset
from mfpolicy.data.schema import REQUIRED_ARRAYS
from mfpolicy.errors import ConfigError, DataError

ARRAYS = ("same", "common")
DUPLICATES = ("refuse", "skip", "keep")
_MAY_DIFFER = ("expert",)


def merge(
    sources: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    arrays: str = "same",
    duplicates: str = "refuse",
    progress: Progress | None = None,
) -> EditReport:
    """Writes the episodes of all ``sources``, one dataset after the other, to ``out``.

    The datasets must be made alike: task, control rate, recipe, camera, dimensions and points.
    Their experts may differ; the merged dataset names all of them.

    Args:
        sources: two datasets or more.
        out: folder of the dataset to write, or to continue.
        arrays: ``same`` refuses datasets whose further arrays (colors, images, …) differ;
            ``common`` keeps those that all of them have.
        duplicates: what becomes of an episode with the seed, states and actions of an earlier one:
            ``refuse``, ``skip`` or ``keep``.
        progress: called after each episode.

    Raises:
        ConfigError: there are fewer than two sources, or a word is unknown.
        DataError: they are not made alike, or hold the same episode twice; or as
            :func:`~mfpolicy.data.editing.rewriting.rewrite`.

    Example:
        >>> merge(["data/a.zarr", "data/b.zarr"], "data/ab.zarr").episodes   # doctest: +SKIP
        20
    """
    for name, word, known in (
        ("arrays", arrays, ARRAYS),
        ("duplicates", duplicates, DUPLICATES),
    ):
        if word not in known:
            raise ConfigError(f"{name} must be one of {', '.join(known)}", received=word)
    if len(sources) < 2:
        raise ConfigError("merge needs two datasets at least", received=[str(s) for s in sources])
    datasets = [open_source(source) for source in sources]
    for other in datasets[1:]:
        _require_alike(datasets[0], other)
    kept = _arrays_of_all(datasets, arrays)
    picks = [(i, e) for i, dataset in enumerate(datasets) for e in range(dataset.episode_count)]
    repeated = _repeated(datasets) if duplicates != "keep" else {}
    if repeated and duplicates == "refuse":
        raise _twice(datasets, repeated)
    experts = dict.fromkeys(dataset.spec.expert or "not known" for dataset in datasets)
    known = any(dataset.spec.expert is not None for dataset in datasets)
    plan = Plan(
        operation="merge",
        options={"arrays": arrays, "duplicates": duplicates},
        sources=datasets,
        picks=[pick for pick in picks if pick not in repeated],
        spec=dataclasses.replace(datasets[0].spec, expert="; ".join(experts) if known else None),
        change=lambda episode, pick: only(episode, kept),
    )
    report = rewrite(plan, out, progress)
    notes = {"left out": f"{len(repeated)} episodes that were there already"} if repeated else {}
    return dataclasses.replace(report, notes=notes)


def _require_alike(one: Dataset, other: Dataset) -> None:
    differences = {
        name: values
        for name, values in one.spec.differences(other.spec).items()
        if name not in _MAY_DIFFER
    }
    if differences:
        listed = "; ".join(
            f"{name}: {mine!r} and {theirs!r}" for name, (mine, theirs) in differences.items()
        )
        raise DataError(
            f"datasets must be made alike to be merged. {one.path} and {other.path} differ in "
            f"{listed}",
            remedy="`mfpolicy data resample` changes points and rate, `mfpolicy data recompute` "
            "the crop box",
        )


def _arrays_of_all(datasets: Sequence[Dataset], arrays: str) -> set[str]:
    """The further arrays that the merged dataset shall have."""
    kinds = [
        {
            name: (str(dataset.array(name).dtype), tuple(dataset.array(name).shape[1:]))
            for name in dataset.array_names
            if name not in REQUIRED_ARRAYS
        }
        for dataset in datasets
    ]
    common = {n for n, kind in kinds[0].items() if all(k.get(n) == kind for k in kinds)}
    for dataset, other in zip(datasets, kinds, strict=True):
        if arrays == "same" and other != kinds[0]:
            names = sorted(n for n in {*other, *kinds[0]} if other.get(n) != kinds[0].get(n))
            mine, theirs = ({name: k.get(name) for name in names} for k in (kinds[0], other))
            raise DataError(
                "datasets must have the same arrays to be merged",
                received=f"{datasets[0].path}: {mine}, {dataset.path}: {theirs}",
                remedy="arrays=common keeps what all of them have",
            )
    return common


def _repeated(datasets: Sequence[Dataset]) -> dict[tuple[int, int], tuple[int, int]]:
    """Episodes that an earlier one is the same as → that earlier one.

    Only states and actions of episodes that share seed and length are read.
    """
    alike: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for index, dataset in enumerate(datasets):
        for episode in range(dataset.episode_count):
            start, stop = dataset.bounds(episode)
            assert dataset.seeds is not None
            alike[int(dataset.seeds[episode]), stop - start].append((index, episode))
    repeated: dict[tuple[int, int], tuple[int, int]] = {}
    for group in alike.values():
        first: dict[bytes, tuple[int, int]] = {}
        for pick in group if len(group) > 1 else ():
            earlier = first.setdefault(_content(datasets[pick[0]], pick[1]), pick)
            if earlier != pick:
                repeated[pick] = earlier
    return repeated


def _content(dataset: Dataset, episode: int) -> bytes:
    found = hashlib.sha256()
    for name in ("state", "action"):
        found.update(dataset.stored(name).read(*dataset.bounds(episode)).tobytes())
    return found.digest()


def _twice(
    datasets: Sequence[Dataset], repeated: dict[tuple[int, int], tuple[int, int]]
) -> DataError:
    (index, episode), (before, earlier) = next(iter(repeated.items()))
    return DataError(
        "a merged dataset must not hold an episode twice",
        received=f"{len(repeated)} are repeated: episode {episode} of {datasets[index].path} is "
        f"episode {earlier} of {datasets[before].path}",
        remedy="duplicates=skip leaves them out, duplicates=keep takes them all",
    )
