"""Several values a key → one checked training configuration for each combination, by Hydra."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfpolicy.config.composition import (
    compose,
    compose_tree,
    group_choices,
    is_text,
    own_hydra,
    text_keys,
)
from mfpolicy.config.convert import from_mapping
from mfpolicy.config.many import check_names, split
from mfpolicy.config.overrides import Override, parse
from mfpolicy.config.schema import SweepConfig, TrainConfig
from mfpolicy.config.values import element, listed
from mfpolicy.config.verbs import EXAMPLES
from mfpolicy.errors import ConfigError, did_you_mean

OWN = tuple(field.name for field in dataclasses.fields(SweepConfig))


@dataclass(frozen=True)
class Cell:
    """One combination of the swept values.

    Attributes:
        name: of its run folder, made of the swept values.
        values: swept key → value as typed.
        config: what is trained.
    """

    name: str
    values: dict[str, str]
    config: TrainConfig


@dataclass(frozen=True)
class Sweep:
    """A checked sweep.

    Attributes:
        config: where and how the cells run.
        cells: in the order of the values, the last key varying fastest.
    """

    config: SweepConfig
    cells: tuple[Cell, ...]


def compose_sweep(words: Sequence[str]) -> Sweep:
    """Composes every cell of a sweep and checks it before anything runs.

    Any key of ``train`` may have several values in Hydra's syntax: ``seed=0,1,2``,
    ``seed=range(5)``, ``policy=glob(*)``. In ``data``, ``{task}`` stands for the cell's task
    without its suite, ``{suite}`` for the suite, and ``{key}`` for the value of a swept key.

    Raises:
        ConfigError: no key has several values, a key of the sweep itself has, two cells are the
            same, one dataset is to show two tasks, or a cell is not a valid configuration.

    Example:
        >>> words = ["task=metaworld/reach", "data=reach.zarr", "out=runs/grid", "seed=0,1"]
        >>> [cell.config.out for cell in compose_sweep(words).cells]
        ['runs/grid/seed0', 'runs/grid/seed1']
    """
    overrides = parse(words)
    check_names("sweep", overrides, OWN)
    own, swept = split(overrides, OWN)
    for override in own:
        _require_single(override)
    config = compose("sweep", [f"{override.key}={override.value}" for override in own])
    with own_hydra():
        axes = _axes(swept)
    if all(single for _, single in axes.values()):
        raise ConfigError(
            "a sweep needs a key with several values",
            remedy="write for example seed=0,1,2; one policy is trained by `mfpolicy train`",
        )
    cells = tuple(_cells(axes, Path(config.out), resume=config.resume or True))
    _check_distinct(cells)
    _check_data(cells)
    return Sweep(config, cells)


def own_words(words: Sequence[str]) -> list[str]:
    """The words that are options of the sweep itself, not of the training."""
    return [f"{o.key}={o.value}" for o in split(parse(words), OWN)[0]]


def _require_single(override: Override) -> None:
    if listed(override, text=override.key in text_keys(SweepConfig)) is not None:
        raise ConfigError(
            f"{override.key} must have one value: it holds for the whole sweep",
            received=override.value,
            remedy="put quotes around a value that has a comma in it, once more inside the shell's",
        )


Axes = dict[str, tuple[list[str], bool]]
"""Key → its values as typed, and whether it was given as a single one."""


def _axes(overrides: Sequence[Override]) -> Axes:
    texts = text_keys(TrainConfig)
    axes: Axes = {}
    for override in overrides:
        values = listed(override, text=is_text(override, texts))
        axes[override.key] = ([override.value], True) if values is None else (values, False)
    return axes


def _cells(axes: Axes, out: Path, *, resume: bool | str) -> list[Cell]:
    """Composes once for each choice of groups; the other swept values are set in the result."""
    groups = group_choices("train")
    texts = text_keys(TrainConfig)
    trees: dict[tuple[str, ...], dict[str, Any]] = {}
    cells = []
    for combination in itertools.product(*(values for values, _ in axes.values())):
        typed = dict(zip(axes, combination, strict=True))
        choice = tuple(value for key, value in typed.items() if key in groups)
        if choice not in trees:
            overrides = [Override(key, value) for key, value in typed.items()]
            trees[choice] = compose_tree("train", overrides)
            _check_complete(trees[choice])
        tree = copy.deepcopy(trees[choice])
        swept = {key: value for key, value in typed.items() if not axes[key][1]}
        for key, value in swept.items():
            if key not in groups:
                _set(tree, key, element(key, value, text=is_text(Override(key, value), texts)))
        name = _name(swept, groups)
        tree["data"] = _datasets(tree["data"], tree["task"], swept)
        tree["out"], tree["resume"] = str(out / name), resume
        cells.append(Cell(name, swept, from_mapping(TrainConfig, tree)))
    return cells


def _check_complete(tree: Mapping[str, Any]) -> None:
    missing = [key for key in tree if tree[key] == "???" and key not in OWN]
    if missing:
        raise ConfigError(
            "sweep needs " + " and ".join(f"{key}=…" for key in missing),
            remedy=f"for example: {EXAMPLES['sweep']}",
        )


def _set(tree: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for name in path:
        tree = tree[name]
    tree[last] = value


def _name(swept: Mapping[str, str], groups: Mapping[str, Sequence[str]]) -> str:
    leaf_counts = Counter(key.rpartition(".")[2] for key in swept)
    parts = []
    for key, value in swept.items():
        leaf = key.rpartition(".")[2]
        label = "" if key == "task" or key in groups else leaf if leaf_counts[leaf] == 1 else key
        text = re.sub(r"[^\w.+-]+", "-", value).strip("-")
        parts.append(f"{label}-{text}" if label and text[:1].isalpha() else label + text)
    return "__".join(parts)


def _datasets(data: Any, task: Any, swept: Mapping[str, str]) -> Any:
    """What data stands for: one dataset, or one for each of several tasks."""
    if isinstance(task, str) and isinstance(data, str):
        return filled(data, task, swept)
    tasks = [task] if isinstance(task, str) else list(task)
    patterns = [data] * len(tasks) if isinstance(data, str) else list(data)
    if len(patterns) != len(tasks):
        return patterns  # refused where the configuration is checked
    return [filled(str(p), str(t), swept) for p, t in zip(patterns, tasks, strict=True)]


def filled(data: str, task: str, swept: Mapping[str, str]) -> str:
    """A pattern of dataset paths with the cell's task, its suite and swept values put in.

    Raises:
        ConfigError: something else stands in braces.
    """
    suite, _, name = task.rpartition("/")
    known = {**swept, "suite": suite, "task": name}

    def value(match: re.Match[str]) -> str:
        if match[1] not in known:
            raise ConfigError(
                "data may hold {task}, {suite} and the swept keys in braces",
                received=match[0],
                remedy=did_you_mean(match[1], known),
            )
        return known[match[1]]

    return re.sub(r"\{([^{}]*)\}", value, data)


def _check_distinct(cells: Sequence[Cell]) -> None:
    (name, count), *_ = Counter(cell.name for cell in cells).most_common(1)
    if count > 1:
        raise ConfigError(
            "every cell of a sweep must have a run folder of its own",
            received=f"{count} cells named {name}",
            remedy="give each value once; values that differ in punctuation alone need two sweeps",
        )


def _check_data(cells: Sequence[Cell]) -> None:
    tasks: dict[str, str] = {}
    for task, data in (pair for cell in cells for pair in cell.config.data_of.items()):
        other = tasks.setdefault(data, task)
        if other != task:
            raise ConfigError(
                "a dataset shows one task; several tasks need a dataset each",
                received=f"{data} for {other} and {task}",
                remedy="write data='data/{task}.zarr', or data='data/{suite}/{task}.zarr'",
            )
