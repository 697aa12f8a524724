"""Tasks × methods × seeds × demonstrations → one checked training configuration each."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfpolicy.config.benchmarking import (
    BenchmarkRunConfig,
    read_method,
    read_suite,
    tasks_of,
)
from mfpolicy.config.composition import compose, compose_tree, group_choices, own_hydra
from mfpolicy.config.convert import from_mapping, to_mapping
from mfpolicy.config.grid import Cell, filled
from mfpolicy.config.levels import compose_levels
from mfpolicy.config.many import check_names, split
from mfpolicy.config.overrides import Override, parse
from mfpolicy.config.schema import TrainConfig
from mfpolicy.config.values import listed
from mfpolicy.errors import ConfigError, TaskError, UserError, did_you_mean

VERB = "benchmark run"
OWN = tuple(field.name for field in dataclasses.fields(BenchmarkRunConfig))
LISTS = ("methods", "tasks", "seed", "demonstrations")
QUIET = ("logging.wandb=disabled", "logging.progress=false")
"""What every cell is trained with unless the command line says otherwise: many run at once."""
DATA = "data/{suite}/{task}-d{demonstrations}.zarr"


@dataclass(frozen=True)
class BenchmarkCell(Cell):
    """One task learnt by one method from one seed.

    Attributes:
        method: its name.
        difficulty: of the task.
        demonstrations: that are trained on.
        overrides: train overrides of suite, method and command line, as words.
    """

    method: str
    difficulty: str
    demonstrations: int
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Benchmark:
    """A checked benchmark: where and how its cells run, and the cells.

    Attributes:
        levels: name of an evaluation of a finished cell → the perturbation that it is under.
    """

    config: BenchmarkRunConfig
    cells: tuple[BenchmarkCell, ...]
    levels: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def records(self) -> Path:
        """The folder of the records."""
        return Path(self.config.records or Path(self.config.out) / "records")


def compose_benchmark(
    words: Sequence[str], *, difficulties: Mapping[str, str], sets: Mapping[str, Sequence[str]]
) -> Benchmark:
    """Composes every cell of a benchmark and checks it before anything runs.

    Seeds vary slowest and tasks fastest, so that what is finished first is a whole table of one
    seed, and cells that run at once collect the demonstrations of different tasks.

    Args:
        words: options of the benchmark, and of ``mfpolicy train`` for all of its cells.
        difficulties: full name of every task there is → its difficulty.
        sets: lists of tasks by name.

    Raises:
        ConfigError: a key, suite, method or value does not exist or does not fit, a word sets what
            makes a method, or two methods come to the same configuration.
        TaskError: a task is not one of the suite.
    """
    given = parse(words)
    check_names(VERB, given, OWN, without=("task", "resume"))
    suite = read_suite(_suite_name(given))
    own, after = split(given, OWN)
    defaults, before = split(_standing(parse(suite.defaults), given), OWN)
    own += [o for o in defaults if o.key not in {each.key for each in own}]
    config: BenchmarkRunConfig = compose(VERB, _written(own))
    methods = _methods(config, before, after)
    tasks = _tasks(config, tasks_of(suite, list(difficulties), sets))
    cells = tuple(_cells(config, methods, {task: difficulties[task] for task in tasks}))
    _check_data(cells)
    return Benchmark(config, cells, compose_levels(config.robustness) if config.robustness else {})


def own_words(words: Sequence[str]) -> list[str]:
    """The words that are options of the benchmark itself, as they are composed."""
    return _written(split(parse(words), OWN)[0])


def _written(own: Sequence[Override]) -> list[str]:
    with own_hydra():
        return [_as_list(o) if o.key in LISTS else f"{o.key}={o.value}" for o in own]


def _suite_name(given: Sequence[Override]) -> str:
    for override in given:
        if override.key == "suite":
            return override.value.strip("'\"")
    compose(VERB, [])  # refuses, and names all that is missing
    raise AssertionError


def _as_list(override: Override) -> str:
    """The word that gives a key of several values as a list, however they were typed."""
    if override.value == "null" or override.value.lstrip().startswith("["):
        return f"{override.key}={override.value}"
    values = listed(override, text=False) or [override.value]
    return f"{override.key}=[{','.join(values)}]"


Methods = Mapping[str, tuple[TrainConfig, tuple[str, ...]]]
"""Method → its configuration, of no task yet, and the words that lead to it."""


def _methods(
    config: BenchmarkRunConfig, before: Sequence[Override], after: list[Override]
) -> Methods:
    """Composes every method between the suite's words and those of the command line."""
    if config.curve:
        after.append(Override("training.snapshots", str(config.curve)))
    for name in config.methods:
        _check_free(name, after)
    methods = {
        name: _composed(name, [*before, *parse(read_method(name).overrides), *after])
        for name in config.methods
    }
    for (first, (one, _)), (second, (other, _)) in itertools.combinations(methods.items(), 2):
        if to_mapping(one) == to_mapping(other):
            raise ConfigError(
                "two methods must come to different configurations",
                received=f"{first} and {second} are the same with these words",
                remedy="leave one of them out, or do not set what they differ in",
            )
    return methods


def _check_free(name: str, given: Sequence[Override]) -> None:
    """Refuses to store under a method's name what the command line makes another method."""
    for own, other in itertools.product(parse(read_method(name).overrides), given):
        if f"{other.key}.".startswith(f"{own.key}."):
            raise ConfigError(
                "what makes a method cannot be set on the command line",
                received=f"{other.key}={other.value}, where {name} is {own.key}={own.value}",
                remedy="leave it out, or write a method of your own in configs/method",
            )


def _standing(defaults: Sequence[Override], given: Sequence[Override]) -> list[Override]:
    """The suite's words without options of an encoder, say, that the command line replaces.

    All presets have the same options of a policy, so those stand.
    """
    groups = {f"{o.key}." for o in given if o.key in group_choices("train")} - {"policy."}
    return [o for o in defaults if not o.key.startswith(tuple(groups))]


def _composed(name: str, said: Sequence[Override]) -> tuple[TrainConfig, tuple[str, ...]]:
    words = {override.key: override for override in said}  # the last one wins
    quiet = {override.key: override for override in parse(QUIET)}
    try:
        tree = compose_tree("train", list({**quiet, **words}.values()))
        tree |= {"task": "any", "data": "any", "out": "any", "seed": 0, "resume": True}
        base = from_mapping(TrainConfig, tree)
    except UserError as error:
        raise ConfigError(f"method {name} must fit the words given: {error}") from error
    return base, tuple(f"{override.key}={override.value}" for override in words.values())


def _tasks(config: BenchmarkRunConfig, tasks: Sequence[str]) -> Sequence[str]:
    for task in config.tasks or ():
        if task not in tasks:
            raise TaskError(
                f"tasks must be of the suite {config.suite}",
                received=task,
                remedy=did_you_mean(task, tasks),
            )
    return config.tasks or tasks


def _cells(
    config: BenchmarkRunConfig, methods: Methods, tasks: Mapping[str, str]
) -> Iterator[BenchmarkCell]:
    pattern = config.data or f"{config.out}/{DATA}"
    for count, seed, method, task in itertools.product(
        config.demonstrations, config.seed, methods, tasks
    ):
        name = f"{task}/{method}/d{count}-s{seed}"
        values = {"task": task, "method": method, "demonstrations": str(count), "seed": str(seed)}
        base, overrides = methods[method]
        yield BenchmarkCell(
            name=name,
            values=values,
            config=dataclasses.replace(
                base,
                task=task,
                data=filled(pattern, task, values),
                out=f"{config.out}/{name}",
                seed=seed,
            ),
            method=method,
            difficulty=tasks[task],
            demonstrations=count,
            overrides=overrides,
        )


def _check_data(cells: Sequence[BenchmarkCell]) -> None:
    shown: dict[str, tuple[object, int]] = {}
    for cell in cells:
        about = (cell.config.task, cell.demonstrations)
        if shown.setdefault(str(cell.config.data), about) != about:
            raise ConfigError(
                "every task and number of demonstrations needs a dataset of its own",
                received=cell.config.data,
                remedy="write data='FOLDER/{suite}/{task}-d{demonstrations}.zarr'",
            )
