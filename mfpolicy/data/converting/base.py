"""What a format of recordings supplies, and what it is told of the dataset to come."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mfpolicy.data.episode import Episode
from mfpolicy.data.schema import DatasetSpec
from mfpolicy.errors import ConfigError, DataError
from mfpolicy.registry import Registry

if TYPE_CHECKING:
    from mfpolicy.data.converting.replay import ReplayEnv
    from mfpolicy.pointcloud import PointCloudRecipe
    from mfpolicy.types import TaskSpec


@dataclass(frozen=True)
class Target:
    """What the dataset shall be.

    Attributes:
        task: the task of the recordings; None where only the source could say.
        recipe: how the task's point clouds are made; goes with ``task``.
        make_env: builds the task's simulation, for formats that hold no clouds.
        points: points per cloud; None takes the source's or the recipe's.
        store_extras: also store colors, images and whatever else there is.
        layout: what is where, of the format's ``layout_kind``; None where that needs no telling.
    """

    task: TaskSpec | None = None
    recipe: PointCloudRecipe | None = None
    make_env: Callable[[], ReplayEnv] | None = None
    points: int | None = None
    store_extras: bool = True
    layout: Any = None


class Source(ABC):
    """Recordings opened for conversion; one episode at a time is in memory.

    Subclasses take ``(path, target)`` and raise a DataError where the file is not of the format.

    Attributes:
        count: how many episodes there are.
        spec: of the dataset that they become.
        sha256: of what they are, so that a continued conversion notices another source.
        layout_kind: dataclass of what ``Target.layout`` may tell; None where nothing.
    """

    layout_kind: ClassVar[type | None] = None
    count: int
    spec: DatasetSpec
    sha256: str

    @abstractmethod
    def __init__(self, path: Path, target: Target) -> None: ...

    @classmethod
    @abstractmethod
    def recognises(cls, path: Path) -> bool:
        """Whether what lies at ``path`` looks like this format, by its content."""

    @classmethod
    def task_of(cls, path: Path) -> str | None:
        """The task that the name of ``path`` tells, None where it tells none."""
        return None

    @abstractmethod
    def episode(self, index: int) -> Episode:
        """Converts episode ``index``; its seed is its number.

        Raises:
            DataError: it is damaged, or does not fit the task.
        """

    def summary(self) -> list[tuple[str, str]]:
        """What there is to tell of the episodes converted so far, by name."""
        return []

    def close(self) -> None:  # noqa: B027
        """Frees what was opened."""


FORMATS: Registry[Source] = Registry("format")
"""Every format that ``mfpolicy data convert`` reads."""


def guess_format(path: Path) -> str:
    """Returns the name of the format of what lies at ``path``.

    Raises:
        DataError: nothing is there, or it looks like no format.
    """
    if not path.exists():
        raise DataError("recordings must exist at the path", received=str(path))
    found = [name for name in FORMATS.names() if FORMATS.get(name).recognises(path)]
    if len(found) != 1:
        raise DataError(
            "what is converted must look like one of the formats " + ", ".join(FORMATS.names()),
            received=f"{path} looks like {' and '.join(found) or 'none'}",
            remedy="say format=…, or check the path",
        )
    return found[0]


def needed_task(target: Target, format_name: str) -> tuple[TaskSpec, PointCloudRecipe]:
    """The target's task and recipe.

    Raises:
        ConfigError: it has none.
    """
    if target.task is None or target.recipe is None:
        raise ConfigError(
            f"recordings of format {format_name} do not say their task",
            remedy="say task=suite/task, for example task=adroit/door",
        )
    return target.task, target.recipe


def digest(parts: Iterable[bytes]) -> str:
    """The sha256 of ``parts``, one after the other, as hexadecimal text."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def extra_name(name: str, taken: Iterable[str]) -> str:
    """An identifier for an extra array that was called ``name``, other than those taken.

    Example:
        >>> extra_name("next.reward", [])
        'next_reward'
        >>> extra_name("state", [])
        'recorded_state'
    """
    found = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not found[:1].isalpha() or found in ("state", "action", "point_cloud", "color"):
        found = f"recorded_{found}"
    while found in taken:
        found += "_"
    return found


def provenance(format_name: str, path: Path, sha256: str, **notes: Any) -> dict[str, Any]:
    """Where a converted dataset comes from, for the notes of its specification."""
    return {"converted": {"format": format_name, "source": path.name, "sha256": sha256, **notes}}
