"""Parts of a dataset that share no episode, drawn by a seed."""

from __future__ import annotations

import os
import re
from fractions import Fraction
from pathlib import Path

import numpy as np

from mfpolicy.data.editing.rewriting import EditReport, Plan, Progress, open_source, rewrite
from mfpolicy.errors import ConfigError

_PART = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]*):(rest|\d{1,9}|0?\.\d{1,6}|1\.0{1,6})")
REST = "rest"


def parse_parts(text: str, count: int) -> dict[str, int]:
    """Returns how many episodes each part gets.

    Args:
        text: ``name:size`` with commas between them. A size is a number of episodes (``8``), a
            share of all (``0.8``), or ``rest``, once. Shares are rounded so that they fill what
            they add up to, the largest remainder first (Hamilton's method).
        count: E, how many episodes there are.

    Raises:
        ConfigError: the text cannot be read, the parts do not add up to all episodes, or one is
            empty.

    Example:
        >>> parse_parts("train:0.8,val:0.2", 11)
        {'train': 9, 'val': 2}
    """
    sizes: dict[str, str] = {}
    for item in text.split(","):
        match = _PART.fullmatch(item.strip())
        if match is None or match[1] in sizes:
            raise ConfigError(
                "parts must be name:size with commas between them, each name once; a size is a "
                "count, a share with a point, or rest",
                received=text,
                remedy="for example parts=train:0.8,val:0.2 or parts=train:10,val:rest",
            )
        sizes[match[1]] = match[2]
    counts = {name: int(size) for name, size in sizes.items() if size.isdigit()}
    shares = {name: Fraction(size) for name, size in sizes.items() if "." in size}
    counts |= _rounded({name: share * count for name, share in shares.items()})
    rest = [name for name, size in sizes.items() if size == REST]
    left = count - sum(counts.values())
    if rest:
        counts[rest[0]] = left
    if len(rest) > 1 or (left and not rest) or min(counts.values()) < 1:
        raise ConfigError(
            f"the parts must add up to the {count} episodes, with one at least in each",
            received=f"{text}, that is {counts}",
            remedy="give one part the size rest",
        )
    return {name: counts[name] for name in sizes}


def split(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    parts: str,
    seed: int | None = 0,
    progress: Progress | None = None,
) -> dict[str, EditReport]:
    """Splits ``source`` by episode into ``out/NAME.zarr``, one dataset a part.

    Episodes keep their order within a part, and everything that belongs to them.

    Args:
        source: the dataset.
        out: folder of the parts.
        parts: as :func:`parse_parts` reads them.
        seed: decides which episode goes where; None takes them in their order.
        progress: called after each episode, counting those of all parts.

    Returns:
        A report for each part, by its name.

    Raises:
        ConfigError: the parts cannot be read or do not add up.
        DataError: as :func:`~mfpolicy.data.editing.rewriting.rewrite`.

    Example:
        >>> split("data/all.zarr", "data/all", parts="train:0.8,val:0.2")   # doctest: +SKIP
    """
    dataset = open_source(source)
    count = dataset.episode_count
    sizes = parse_parts(parts, count)
    order = np.arange(count) if seed is None else np.random.default_rng(seed).permutation(count)
    reports: dict[str, EditReport] = {}
    start = 0
    for name, size in sizes.items():
        chosen = np.sort(order[start : start + size])
        plan = Plan(
            operation="split",
            options={"parts": parts, "seed": seed, "part": name},
            sources=[dataset],
            picks=[(0, int(index)) for index in chosen],
            spec=dataset.spec,
        )
        shown = None if progress is None else _shifted(progress, start, count)
        reports[name] = rewrite(plan, Path(out) / f"{name}.zarr", shown)
        start += size
    return reports


def _rounded(exact: dict[str, Fraction]) -> dict[str, int]:
    """Whole numbers with the rounded sum of ``exact``, the largest remainders rounded up."""
    counts = {name: int(value) for name, value in exact.items()}
    missing = round(sum(exact.values(), Fraction(0))) - sum(counts.values())
    for name in sorted(exact, key=lambda name: counts[name] - exact[name])[:missing]:
        counts[name] += 1
    return counts


def _shifted(progress: Progress, before: int, count: int) -> Progress:
    return lambda done, total: progress(before + done, count)
