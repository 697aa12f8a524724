"""Minari's HDF5 files of Adroit (D4RL door, hammer, pen, relocate) → a dataset of ours.

``data/main_data.hdf5`` has ``episode_N`` with ``actions`` (T, A) at 100 Hz and no images. Clouds
are rendered in simulation from the stored states. Where every step's state is stored (the group
``state``, T + 1 rows, of files of early versions), each is rendered as it was. Where only the start
is (``options/initial_state_dict``), the actions are replayed from it, as DAPG's are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.converting.base import FORMATS, Source, Target, digest, provenance
from mfpolicy.data.converting.foreign import MAX_STEPS, read_text
from mfpolicy.data.converting.hdf5 import Hdf5File, looks_like_hdf5
from mfpolicy.data.converting.replay import held_actions, rendered, replay, replay_of, replay_spec
from mfpolicy.data.episode import Episode
from mfpolicy.errors import ConfigError, DataError

_START = "options/initial_state_dict/"
_TASKS = ("Door", "Hammer", "Pen", "Relocate")
_MAIN = "main_data.hdf5"


@FORMATS.register("minari")
class MinariSource(Source):
    """A folder of a Minari dataset of Adroit, its ``data``, or the file in it.

    Raises:
        BackendError: h5py is missing.
        ConfigError: no task is given, or it cannot be simulated at a whole part of 100 Hz.
        DataError: it is damaged, or no state of the simulator is stored.
    """

    def __init__(self, path: Path, target: Target) -> None:
        task, make_env, self._repeat = replay_of("minari", target)
        self._task, self._store_extras = task, target.store_extras
        self._file = Hdf5File(_main_file(path) or path)
        try:
            self._episodes = self._file.numbered("/", "episode_")
            self.count = len(self._episodes)
            if not self._episodes:
                raise DataError(f"{path} must have the groups episode_0, episode_1, …")
            self._has_states = self._file.has(f"{self._episodes[0]}/state/qpos")
            if not self._has_states and not self._start(self._episodes[0]):
                raise DataError(
                    "a Minari dataset must hold states of the simulator, of every step (state/qpos)"
                    " or of the start (options/initial_state_dict/qpos), for clouds to be rendered",
                    received=self._file.notes(self._episodes[0])[:12],
                )
            self.sha256 = digest(self._file.identity())
            self._env = make_env()
        except BaseException:
            self._file.close()
            raise
        how = "states as recorded" if self._has_states else "replayed from the recorded start"
        success = "as recorded; assumed where it is not" if self._has_states else "of the replay"
        note = f"mean of {self._repeat} recorded ones"
        self.spec = replay_spec(
            task,
            self._env,
            f"minari {path.name} sha256:{self.sha256}",
            provenance("minari", path, self.sha256, clouds=how, actions=note, success=success),
        )

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Minari's file, or a folder with it."""
        if _main_file(path) is not None:
            return True
        if not looks_like_hdf5(path):
            return False
        file = Hdf5File(path)
        try:
            return bool(file.numbered("/", "episode_"))
        finally:
            file.close()

    @classmethod
    def task_of(cls, path: Path) -> str | None:
        """Of the environment that the dataset's notes name: AdroitHandDoor-v1 is adroit/door."""
        file = _main_file(path)
        if file is None:
            return None
        notes = file.with_name("metadata.json")
        text = read_text(notes) if notes.is_file() else ""
        found = [name for name in _TASKS if f"AdroitHand{name}" in text]
        return f"adroit/{found[0].lower()}" if len(found) == 1 else None

    def episode(self, index: int) -> Episode:
        """Renders or replays one episode.

        Raises:
            DataError: it is damaged, or does not fit the task.
        """
        name = self._episodes[index]
        actions = self._file.read(f"{name}/actions")
        if actions.ndim != 2 or actions.shape[1] != self._task.action_dim:
            raise DataError(
                f"the actions of a recording must have {self._task.action_dim} dimensions for "
                "this task",
                received=f"shape {actions.shape} in {name}",
                remedy="choose the task that was recorded",
            )
        if not 1 <= len(actions) <= MAX_STEPS or not np.isfinite(actions).all():
            raise DataError(f"{name} must have finite actions", received=len(actions))
        held = held_actions(actions.astype(np.float64), self._repeat)
        try:
            if self._has_states:
                states = self._states(name, len(actions))[: len(held)]
                success = self._successes(name, len(actions))[self._repeat - 1 :: self._repeat]
                return rendered(
                    self._env, states, held, success, seed=index, store_extras=self._store_extras
                )
            start = self._start(name)
            return replay(self._env, start, held, seed=index, store_extras=self._store_extras)
        except ConfigError as error:
            rule = f"{name} must hold states of the task: {error.rule}"
            raise DataError(rule, received=error.received, remedy=error.remedy) from error

    def close(self) -> None:
        """Ends the simulation and closes the file."""
        self._env.close()
        self._file.close()

    def _start(self, name: str) -> dict[str, np.ndarray]:
        """The stored start of an episode, arrays by name."""
        return {
            note.removeprefix(_START): np.asarray(self._file.note(name, note))
            for note in self._file.notes(name) if note.startswith(_START)
        }  # fmt: skip

    def _states(self, name: str, length: int) -> list[dict[str, np.ndarray]]:
        """The state before each action that is held."""
        arrays = {key: self._file.read(f"{name}/state/{key}")
                  for key in self._file.arrays(f"{name}/state")}  # fmt: skip
        for key, values in arrays.items():
            if values.ndim != 2 or len(values) not in (length, length + 1):
                raise DataError(
                    f"'{name}/state/{key}' must have a row for each of {length} actions",
                    received=values.shape,
                )
        return [{key: values[step] for key, values in arrays.items()}
                for step in range(0, length, self._repeat)]  # fmt: skip

    def _successes(self, name: str, length: int) -> list[bool]:
        """The recorded flag after each action; all true where none is recorded.

        Raises:
            DataError: there are flags, but not one for each action.
        """
        if self._file.has(f"{name}/infos/success"):
            flags = [bool(flag) for flag in self._file.read(f"{name}/infos/success").ravel()]
        else:
            said = [_flag(text) for text in self._file.texts(f"{name}/infos")]
            flags = [bool(flag) for flag in said]
            if all(flag is None for flag in said):
                return [True] * length
        if len(flags) not in (length, length + 1):
            raise DataError(
                f"'{name}/infos' must say success after each of {length} actions",
                received=len(flags),
                remedy="restore the file from a copy",
            )
        return flags[-length:]  # the first of one more is of the reset


def _flag(text: str) -> bool | None:
    """Whether the notes of a step, as JSON, say success; None where they do not mention it."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return bool(found["success"]) if isinstance(found, dict) and "success" in found else None


def _main_file(path: Path) -> Path | None:
    """Minari's file at, in, or below ``path``; None where there is none."""
    for file in (path, path / _MAIN, path / "data" / _MAIN):
        if file.name == _MAIN and looks_like_hdf5(file):
            return file
    return None
