"""DAPG's demonstrations (Rajeswaran et al., 2018): actions and start states without images.

A pickle of a list of paths. Each is a mapping with ``actions`` (N, A) at 100 Hz,
``init_state_dict`` (``qpos``, ``qvel`` and where the goal is), and more that is not needed. There
are no clouds, so the recordings are replayed in simulation. The tasks here act at 50 Hz: an action
is the mean of the two recorded ones that it stands for, held as long.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.converting.base import (
    FORMATS,
    Source,
    Target,
    digest,
    provenance,
)
from mfpolicy.data.converting.replay import held_actions, replay, replay_of, replay_spec
from mfpolicy.data.episode import Episode
from mfpolicy.errors import ConfigError, DataError
from mfpolicy.inert import ARRAY_NAMES, PickleKind, array_of, read_inert

MAX_STEPS, MAX_EPISODES = 100_000, 100_000
KIND = PickleKind("a file of DAPG's demonstrations", DataError, 1 << 30, 1_000_000, ARRAY_NAMES)
_TASKS = ("door", "hammer", "pen", "relocate")


@FORMATS.register("dapg")
class DapgSource(Source):
    """A pickle of demonstrations as DAPG's repository has them, never executed.

    Raises:
        ConfigError: no task is given, or it cannot be simulated at a whole part of 100 Hz.
        DataError: the file is damaged, names anything but arrays, or holds something else.
    """

    def __init__(self, path: Path, target: Target) -> None:
        task, make_env, self._repeat = replay_of("dapg", target)
        raw = _content(path)
        self.sha256 = digest([raw])
        self._paths = _paths(raw)
        self.count = len(self._paths)
        self._action_dim, self._store_extras = task.action_dim, target.store_extras
        self._env = make_env()
        note = f"mean of {self._repeat} recorded actions, held; states and clouds of the replay"
        self.spec = replay_spec(
            task,
            self._env,
            f"dapg {path.name} sha256:{self.sha256}",
            provenance("dapg", path, self.sha256, actions=note),
        )

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A file that starts as pickles do since protocol 2."""
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(2)
        return len(head) == 2 and head[0] == 0x80 and 2 <= head[1] <= 5

    @classmethod
    def task_of(cls, path: Path) -> str | None:
        """``door-v0_demos.pickle`` is of adroit/door."""
        task = path.name.partition("-v")[0]
        return f"adroit/{task}" if task in _TASKS else None

    def episode(self, index: int) -> Episode:
        """Replays one recording.

        Raises:
            DataError: it lacks its actions or its start, or they do not fit the task.
        """
        path = self._paths[index]
        actions = self._actions(path, index)
        state = path.get("init_state_dict")
        if not isinstance(state, Mapping):
            raise _lacks("init_state_dict", index, path)
        arrays = {str(name): array_of(value, KIND) for name, value in state.items()}
        try:
            return replay(
                self._env,
                arrays,
                held_actions(actions, self._repeat),
                seed=index,
                store_extras=self._store_extras,
            )
        except ConfigError as error:
            rule = f"recording {index} must start in a state of the task: {error.rule}"
            raise DataError(rule, received=error.received, remedy=error.remedy) from error

    def close(self) -> None:
        """Ends the simulation."""
        self._env.close()

    def _actions(self, path: Mapping[Any, Any], index: int) -> np.ndarray:
        if "actions" not in path:
            raise _lacks("actions", index, path)
        actions = array_of(path["actions"], KIND)
        if actions.ndim != 2 or actions.shape[1] != self._action_dim:
            raise DataError(
                f"the actions of a recording must have {self._action_dim} dimensions for this task",
                received=f"shape {actions.shape} in recording {index}",
                remedy="choose the task that was recorded",
            )
        if not 1 <= len(actions) <= MAX_STEPS or not np.isfinite(actions).all():
            raise DataError(
                f"a recording must have 1 to {MAX_STEPS} finite actions",
                received=f"{len(actions)} in recording {index}",
            )
        return actions.astype(np.float64)


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > KIND.max_bytes:
            raise DataError(
                f"a file of demonstrations must have at most {KIND.max_bytes >> 20} MiB",
                received=f"{path.stat().st_size} bytes",
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError("recordings must be a readable file", received=str(path)) from error


def _paths(raw: bytes) -> list[Mapping[Any, Any]]:
    found = read_inert(io.BytesIO(raw), KIND)
    whole = isinstance(found, list) and all(isinstance(path, Mapping) for path in found)
    if not whole or not 1 <= len(found) <= MAX_EPISODES:
        raise DataError(
            "DAPG's demonstrations must be a list of recordings",
            received=f"{len(found)} entries" if whole else type(found).__name__,
            remedy="give a file like door-v0_demos.pickle",
        )
    return found


def _lacks(name: str, index: int, path: Mapping[Any, Any]) -> DataError:
    return DataError(f"recording {index} must have {name!r}", received=sorted(map(str, path))[:12])
