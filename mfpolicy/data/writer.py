"""Crash-safe writing: a dataset holds its finished episodes, whatever happens to the writer.

An episode is written beyond the committed end of every array; then one atomic replacement of
the root metadata raises ``episodes`` and ``steps``, and only that makes it exist. A chunk that
holds committed steps is only ever replaced whole (see :mod:`mfpolicy.data.durable`). What an
interrupted writer left beyond the commit is removed by the next one.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mfpolicy.data.episode import Episode, episode_arrays
from mfpolicy.data.growing_array import create_growing, cut, extend, open_growing
from mfpolicy.data.opening import create_empty, disk_error, open_matching
from mfpolicy.data.reader import Dataset
from mfpolicy.data.schema import (
    EPISODES_PER_CHUNK,
    META_DTYPES,
    STEPS_PER_CHUNK,
    DatasetSpec,
    package_versions,
)
from mfpolicy.errors import DataError

if TYPE_CHECKING:
    from mfpolicy.data.durable import WriterLock


class DatasetWriter:
    """Appends episodes to one dataset; use :meth:`open` in a ``with`` statement.

    Example:
        >>> with DatasetWriter.open("data/mine.zarr", spec) as writer:   # doctest: +SKIP
        ...     writer.append(episode)
    """

    def __init__(self, target: Path, dataset: Dataset, lock: WriterLock) -> None:
        import zarr

        from mfpolicy.data.durable import DurableStore, Undisturbed, remove_partial_files

        remove_partial_files(target)
        self.path = target
        self.spec = dataset.spec
        self._lock = lock
        self._root = zarr.open_group(DurableStore(target), mode="r+", zarr_format=3)
        self._steps = dataset.step_count
        self._seeds = [] if dataset.seeds is None else [int(seed) for seed in dataset.seeds]
        self._journal = dataset.journal
        names = (dataset.array_names, META_DTYPES) if self._seeds else ((), ())
        store = self._root.store
        self._data = {name: open_growing(store, f"data/{name}") for name in names[0]}
        self._meta = {name: open_growing(store, f"meta/{name}") for name in names[1]}
        self._undisturbed = Undisturbed()
        self._has_leftovers = True

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], spec: DatasetSpec, *, resume: bool = True
    ) -> DatasetWriter:
        """Opens the dataset at ``path`` for appending, creating it where there is none.

        Args:
            path: folder of the dataset.
            spec: what the dataset says of itself; an existing one must say the same.
            resume: accept an existing dataset and append to it.

        Raises:
            DataError: another process is writing to it; it exists and ``resume`` is false, or it
                differs from ``spec``, is of format 2, or is damaged; or the disk refuses.
        """
        from mfpolicy.data.durable import WriterLock

        target = Path(path).expanduser().resolve()
        try:
            lock = WriterLock(target)
            try:
                if not target.exists() or (target.is_dir() and not any(target.iterdir())):
                    create_empty(target, spec)
                elif not resume:
                    raise DataError(
                        "a new dataset needs a path of its own",
                        received=str(target),
                        remedy="remove what is there, or pass resume=true",
                    )
                return cls(target, open_matching(target, spec), lock)
            except BaseException:
                lock.release()
                raise
        except OSError as error:
            raise disk_error(target, error) from error

    @property
    def episode_count(self) -> int:
        """Finished episodes."""
        return len(self._seeds)

    @property
    def step_count(self) -> int:
        """Steps of all finished episodes."""
        return self._steps

    @property
    def seeds(self) -> list[int]:
        """Seeds of the finished episodes, in order."""
        return list(self._seeds)

    @property
    def journal(self) -> dict[str, Any]:
        """Notes of the process that fills the dataset, as last committed."""
        return dict(self._journal)

    def append(self, episode: Episode, *, journal: Mapping[str, Any] | None = None) -> None:
        """Appends ``episode`` and, in the same atomic commit, replaces the journal if given.

        When this returns, the episode is on the disk. When it raises a DataError, the dataset is
        as before. Ctrl-C meanwhile takes effect when the episode is on the disk.

        Raises:
            DataError: the episode does not fit the dataset, or the disk refuses (is full).
        """
        arrays = episode_arrays(episode, self.spec)
        if episode.seed is None or episode.success is None:
            raise DataError(
                "an episode must say its seed and whether it succeeded",
                received=(episode.seed, episode.success),
            )
        self._require_same_arrays(arrays)
        meta = {
            "episode_ends": self._steps + len(episode),
            "episode_seed": int(episode.seed),
            "episode_success": bool(episode.success),
            "episode_length": len(episode),
        }
        notes = self._journal if journal is None else dict(journal)
        self._write(lambda: self._append(arrays, meta, notes))

    def record(self, journal: Mapping[str, Any]) -> None:
        """Replaces the journal, atomically, without adding an episode.

        Raises:
            DataError: the disk refuses.
        """
        notes = dict(journal)
        self._write(lambda: self._commit(self._seeds, self._steps, notes))

    def close(self) -> None:
        """Removes what an interrupted append left, and lets other writers in."""
        try:
            self._undisturbed.close()
            self._remove_leftovers()
        except OSError:
            pass  # a full disk; the next writer removes them
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, work: Callable[[], None]) -> None:
        try:
            self._undisturbed.run(work)
        except OSError as error:
            raise disk_error(self.path, error) from error

    def _append(
        self, arrays: dict[str, np.ndarray], meta: dict[str, int], journal: dict[str, Any]
    ) -> None:
        self._remove_leftovers()
        self._has_leftovers = True
        if not self._seeds:
            self._create_arrays(arrays)
        for name, values in arrays.items():
            extend(self._data[name], self._steps, values)
        for name, value in meta.items():
            extend(self._meta[name], len(self._seeds), np.array([value], META_DTYPES[name]))
        self._commit([*self._seeds, meta["episode_seed"]], meta["episode_ends"], journal)
        self._has_leftovers = False

    def _create_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        for name, values in arrays.items():
            self._data[name] = create_growing(
                self._root.store, f"data/{name}", dtype=values.dtype,
                row_shape=values.shape[1:], rows_per_chunk=STEPS_PER_CHUNK,
            )  # fmt: skip
        for name, dtype in META_DTYPES.items():
            self._meta[name] = create_growing(
                self._root.store, f"meta/{name}", dtype=np.dtype(dtype),
                row_shape=(), rows_per_chunk=EPISODES_PER_CHUNK,
            )  # fmt: skip

    def _commit(self, seeds: list[int], steps: int, journal: dict[str, Any]) -> None:
        extra, versions = dict(self.spec.extra), package_versions()
        history = list(extra.get("packages", []))
        if len(seeds) > len(self._seeds) and (not history or history[-1]["versions"] != versions):
            history.append({"first_episode": len(self._seeds), "versions": versions})
            extra["packages"] = history
        notes = {"episodes": len(seeds), "steps": steps, "journal": journal, "extra": extra}
        self._root = self._root.update_attributes(notes)
        self.spec = dataclasses.replace(self.spec, extra=extra)
        self._seeds, self._steps, self._journal = seeds, steps, journal

    def _require_same_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        if not self._seeds:
            return
        mine = {name: (str(array.dtype), array.shape[1:]) for name, array in self._data.items()}
        new = {name: (str(array.dtype), array.shape[1:]) for name, array in arrays.items()}
        if mine != new:
            raise DataError(
                f"every episode must have the arrays of the first: {mine}", received=new
            )

    def _remove_leftovers(self) -> None:
        """Cuts every array back to what is committed."""
        if not self._has_leftovers:
            return
        if not self._seeds:
            self._data, self._meta = {}, {}
            for group in ("data", "meta"):
                for folder in (self.path / group).iterdir():
                    if folder.is_dir():
                        shutil.rmtree(folder)
        for array in self._data.values():
            cut(array, self._steps)
        for array in self._meta.values():
            cut(array, len(self._seeds))
        self._has_leftovers = False
