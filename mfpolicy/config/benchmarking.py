"""What ``mfpolicy benchmark`` takes, and the methods and suites it chooses from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from mfpolicy.config.checks import at_least, not_empty
from mfpolicy.config.convert import from_mapping
from mfpolicy.config.schema import SweepConfig
from mfpolicy.errors import ConfigError, TaskError, did_you_mean
from mfpolicy.paths import config_dir

METHODS, SUITES = "method", "benchmark"
"""The folders of configs/ with a file for each method and for each suite."""


@dataclass(frozen=True)
class BenchmarkRunConfig:
    """What ``mfpolicy benchmark run`` takes besides the keys of ``mfpolicy train``.

    Attributes:
        seed: of the trainings.
        tasks: of the suite, those to run; None takes all.
        data: pattern of the datasets' paths; None puts them below ``out``.
        records: folder of the records; None puts them below ``out``.
        launcher: registered name under ``name``, and its options.
        robustness: name of a list of perturbations that finished cells are evaluated under.
        robustness_episodes: under each of them; None: as many as without.
    """

    suite: str
    methods: tuple[str, ...]
    tasks: tuple[str, ...] | None
    seed: tuple[int, ...]
    demonstrations: tuple[int, ...]
    episodes: int
    curve: int
    robustness: str | None
    robustness_episodes: int | None
    out: str
    data: str | None
    records: str | None
    threads: int | None
    max_batch_size: int | None
    launcher: dict[str, Any]

    def __post_init__(self) -> None:
        not_empty(suite=self.suite, out=self.out, data=self.data, records=self.records)
        not_empty(robustness=self.robustness)
        at_least(1, episodes=self.episodes, threads=self.threads)
        at_least(1, robustness_episodes=self.robustness_episodes)
        at_least(1, max_batch_size=self.max_batch_size)
        at_least(0, curve=self.curve)
        for key in ("methods", "tasks", "seed", "demonstrations"):
            values = getattr(self, key)
            if values is not None and (not values or len(set(values)) < len(values)):
                raise ConfigError(
                    f"{key} must have values, each of them once", received=list(values)
                )
        for key, minimum in (("seed", 0), ("demonstrations", 1)):
            at_least(minimum, **{key: min(getattr(self, key))})

    @property
    def sweep(self) -> SweepConfig:
        """Where and how the cells run."""
        return SweepConfig(
            out=self.out,
            episodes=self.episodes,
            resume=True,
            threads=self.threads,
            max_batch_size=self.max_batch_size,
            launcher=self.launcher,
        )


@dataclass(frozen=True)
class Method:
    """A method as its file in ``configs/method`` tells it.

    Attributes:
        what: it is, in a line.
        overrides: of ``mfpolicy train``, as words; what is not said is as in its defaults.
    """

    what: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Suite:
    """A suite of tasks as its file in ``configs/benchmark`` tells it.

    Attributes:
        what: it is, in a line.
        tasks: full names, patterns of them such as ``adroit/*``, or lists named in configs/suite.
        defaults: options of ``mfpolicy benchmark run``, as words; the command line wins.
    """

    what: str
    tasks: tuple[str, ...]
    defaults: tuple[str, ...] = ()


def method_names() -> list[str]:
    """Every method, sorted."""
    return file_names(METHODS)


def suite_names() -> list[str]:
    """Every suite of the benchmark, sorted."""
    return file_names(SUITES)


def read_method(name: str) -> Method:
    """Reads a method.

    Raises:
        ConfigError: there is none of this name, or its file lacks something.

    Example:
        >>> read_method("regression").overrides
        ('objective=regression',)
    """
    return from_mapping(Method, read_file(METHODS, name))


def read_suite(name: str) -> Suite:
    """Reads a suite.

    Raises:
        ConfigError: there is none of this name, or its file lacks something.
    """
    return from_mapping(Suite, read_file(SUITES, name))


def tasks_of(
    suite: Suite, known: Sequence[str], sets: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """The full names of a suite's tasks, in its order.

    Args:
        suite: the suite.
        known: full names of the tasks that there are.
        sets: lists of tasks by name.

    Raises:
        TaskError: an entry is none of a task, a pattern that fits some, and a list.

    Example:
        >>> tasks_of(Suite("", ("b/*", "a/y")), ["a/x", "a/y", "b/z"], {})
        ('b/z', 'a/y')
    """
    tasks: dict[str, None] = {}
    for entry in suite.tasks:
        found = sets.get(entry) or [task for task in known if fnmatch(task, entry)]
        if not found:
            raise TaskError(
                "a suite must name tasks that there are",
                received=entry,
                remedy=did_you_mean(entry, [*known, *sets]),
            )
        tasks.update(dict.fromkeys(found))
    return tuple(tasks)


def file_names(folder: str) -> list[str]:
    """The files of a folder of configs/, without their ending, sorted."""
    return sorted(path.stem for path in (config_dir() / folder).glob("*.yaml"))


def read_file(folder: str, name: str) -> dict[str, Any]:
    """What a file of a folder of configs/ says.

    Raises:
        ConfigError: there is none of this name, or it is no mapping.
    """
    import yaml

    if name not in file_names(folder):
        option = {METHODS: "methods", SUITES: "suite"}.get(folder, folder)
        raise ConfigError(
            f"{option} must name a file in configs/{folder}",
            received=name,
            remedy=did_you_mean(name, file_names(folder)),
        )
    path = config_dir() / folder / f"{name}.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must be a mapping", received=values)
    return values
