"""Datasets of ours as LeRobotDataset v3, clouds and depth as features of numbers.

Several episodes share a file of data and one video a camera. When those are large enough, they are
closed, and the file of ``meta/episodes`` that lists them makes them count; the next episode opens
new ones. So an interrupted export loses what is in open files, at most the size of one.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.converting.exporting import EXPORTS, Export, Order
from mfpolicy.data.converting.lerobot_v3 import info as layout
from mfpolicy.data.converting.lerobot_v3.columns import to_column
from mfpolicy.data.converting.lerobot_v3.files import (
    Part,
    read_episode_rows,
    write_episode_rows,
    write_tasks,
)
from mfpolicy.data.converting.lerobot_v3.statistics import Aggregate, of_pictures, of_vectors
from mfpolicy.data.converting.lerobot_v3.video import video_info
from mfpolicy.data.converting.packages import required
from mfpolicy.data.episode import Episode
from mfpolicy.errors import DataError

_STATISTICS = "stats/"


@EXPORTS.register("lerobot")
class LeRobotExport(Export):
    """Images (H, W, 3) uint8 become videos, all other arrays features of numbers.

    Raises:
        BackendError: pyarrow or av is missing.
        DataError: the dataset does not say its control rate.
    """

    note_file = layout.NOTES

    def __init__(self, draft: Path, order: Order) -> None:
        required("pyarrow", "LeRobot's format")
        self._draft, self._order = draft, order
        spec = order.dataset.spec
        if spec.control_rate_hz is None:
            raise DataError(
                "a dataset of LeRobot needs a control rate, and this one does not say its own",
                received=str(order.dataset.path),
                remedy="convert it with task=… first",
            )
        self._rate_hz = float(spec.control_rate_hz)
        self._task = spec.task or "not named"
        rows = read_episode_rows(draft)
        self._parts = 1 + max((int(row["meta/episodes/file_index"])
                               + layout.FILES_PER_CHUNK * int(row["meta/episodes/chunk_index"])
                               for row in rows), default=-1)  # fmt: skip
        self._aggregate = Aggregate()
        for row in rows:
            self._add_statistics(row)
        self.done = len(rows)
        self._steps = int(rows[-1]["dataset_to_index"]) if rows else 0
        self._features = self._known_features()
        self._part: Part | None = None

    @classmethod
    def notes(cls, order: Order) -> dict[str, Any]:
        """The dataset's own specification: frame, recipe, camera."""
        spec: dict[str, Any] = {**order.dataset.spec.to_dict(), "points": order.points}
        if spec["recipe"] is not None:
            spec["recipe"] = {**spec["recipe"], "points": order.points}
        return {"spec": spec}

    def append(self, episode: Episode) -> None:
        """Writes the steps to the open files; they count when these are closed."""
        arrays = self._arrays(episode)
        if self._part is None:
            self._part = Part(self._draft, self._parts, self._steps)
        pictures = {name: value for name, value in arrays.items() if _is_picture(name, value)}
        numbers = {name: value for name, value in arrays.items() if name not in pictures}
        if not self._features:
            self._features = self._described(numbers, pictures)
            self._describe()
        statistics = {name: of_vectors(value) for name, value in numbers.items() if value.ndim < 3}
        statistics |= {name: of_pictures(value) for name, value in pictures.items()}
        pa = required("pyarrow", "LeRobot's format")
        table = pa.table({name: to_column(value) for name, value in numbers.items()})
        index = self.done + len(self._part.rows)
        row = self._part.append(index, table, pictures, self._rate_hz)
        row["tasks"] = [self._task]
        row[layout.SEED] = -1 if episode.seed is None else episode.seed
        for name, found in statistics.items():
            for key, value in found.items():
                row[f"{_STATISTICS}{name}/{key}"] = value.tolist()
        if self._part.is_full:
            self._commit()

    def finish(self) -> None:
        """Closes the open files and describes the whole."""
        self._commit()
        self._describe()

    def close(self) -> None:
        """Leaves open files to the next call, which replaces them."""
        if self._part is not None:
            self._part.discard()
            self._part = None

    def _commit(self) -> None:
        if self._part is None:
            return
        self._part.close()
        rows = self._part.rows
        write_episode_rows(self._draft, self._parts, rows)
        for row in rows:
            self._add_statistics(row)
        self.done += len(rows)
        self._steps, self._parts, self._part = rows[-1]["dataset_to_index"], self._parts + 1, None

    def _describe(self) -> None:
        """Writes what tells of all episodes so far."""
        from mfpolicy.data.durable import write_durably

        write_tasks(self._draft, self._task)
        whole = {layout.INFO: self._info(), layout.STATS: self._aggregate.to_dict()}
        for name, content in whole.items():
            write_durably(self._draft / name, json.dumps(content, indent=4).encode())

    def _known_features(self) -> dict[str, dict[str, Any]]:
        """As an earlier call described them, before it wrote the first episode."""
        file = self._draft / layout.INFO
        return json.loads(file.read_text())["features"] if file.is_file() else {}

    def _add_statistics(self, row: dict[str, Any]) -> None:
        found: dict[str, dict[str, np.ndarray]] = {}
        for name, value in row.items():
            if name.startswith(_STATISTICS):
                feature, _, key = name.removeprefix(_STATISTICS).rpartition("/")
                found.setdefault(feature, {})[key] = np.asarray(value)
        for feature, statistics in found.items():
            self._aggregate.add(feature, statistics)

    def _info(self) -> dict[str, Any]:
        videos = any(feature["dtype"] == "video" for feature in self._features.values())
        rate = self._rate_hz
        return {
            "codebase_version": layout.VERSION, "robot_type": None,
            "total_episodes": self.done, "total_frames": self._steps, "total_tasks": 1,
            "chunks_size": layout.FILES_PER_CHUNK, "data_files_size_in_mb": layout.DATA_MB,
            "video_files_size_in_mb": layout.VIDEO_MB,
            "fps": int(rate) if rate.is_integer() else rate,
            "splits": {"train": f"0:{self.done}"}, "data_path": layout.DATA_PATH,
            "video_path": layout.VIDEO_PATH if videos else None, "features": self._features,
        }  # fmt: skip

    def _described(
        self, numbers: dict[str, np.ndarray], pictures: dict[str, np.ndarray]
    ) -> dict[str, dict[str, Any]]:
        features: dict[str, dict[str, Any]] = {}
        for name, value in numbers.items():
            shape = list(value.shape[1:]) or [1]
            features[name] = {"dtype": str(value.dtype), "shape": shape, "names": None}
        for name, value in pictures.items():
            features[name] = {
                "dtype": "video", "shape": list(value.shape[1:]),
                "names": ["height", "width", "channels"],
                "info": video_info(value.shape[1:3], self._rate_hz),
            }  # fmt: skip
        return {**features, **layout.DEFAULTS}

    def _arrays(self, episode: Episode) -> dict[str, np.ndarray]:
        """The arrays of an episode by the name of their feature."""
        points = self._order.points
        success = np.zeros(len(episode), bool)
        success[-1] = bool(episode.success)
        arrays = {
            layout.STATE: episode.agent_pos, layout.ACTION: episode.action,
            layout.CLOUD: np.ascontiguousarray(episode.point_cloud[:, :points]),
            layout.SUCCESS: success,
        }  # fmt: skip
        if not self._order.store_extras:
            return arrays
        if episode.color is not None:
            arrays[layout.COLOR] = np.ascontiguousarray(episode.color[:, :points])
        for name, value in episode.extras.items():
            picture = value.dtype == np.uint8 and value.ndim == 4 and value.shape[3] == 3
            key = (layout.IMAGES if picture else layout.OBSERVATION) + name
            if key in arrays or value.ndim > 6 or math.prod(value.shape[1:]) >= 2**31:
                raise DataError(
                    "an extra array must have a name and a shape that LeRobot can hold",
                    received=f"{name}, shape {value.shape}",
                    remedy="store_extras=false leaves extras out",
                )
            arrays[key] = value
        return arrays


def _is_picture(name: str, value: np.ndarray) -> bool:
    return name.startswith(layout.IMAGES) and value.ndim == 4
