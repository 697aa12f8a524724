"""``meta/info.json``: names of files and features, read with suspicion."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfpolicy.data.converting.foreign import inside, read_text
from mfpolicy.errors import DataError

VERSION = "v3.0"
INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
NOTES = "meta/mfpolicy.json"
FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
EPISODES_PATH = f"meta/episodes/{FILE}.parquet"
DATA_PATH = f"data/{FILE}.parquet"
VIDEO_PATH = "videos/{video_key}/" + FILE + ".mp4"
FILES_PER_CHUNK, DATA_MB, VIDEO_MB = 1000, 100, 200
STATE, ACTION, CLOUD = "observation.state", "action", "observation.point_cloud"
COLOR, SUCCESS = "observation.point_cloud_color", "next.success"
IMAGES, OBSERVATION = "observation.images.", "observation."
SEED = "mfpolicy/seed"
DEFAULTS: dict[str, dict[str, Any]] = {
    "timestamp": {"dtype": "float32", "shape": [1], "names": None},
    "frame_index": {"dtype": "int64", "shape": [1], "names": None},
    "episode_index": {"dtype": "int64", "shape": [1], "names": None},
    "index": {"dtype": "int64", "shape": [1], "names": None},
    "task_index": {"dtype": "int64", "shape": [1], "names": None},
}
NUMBERS = (
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
    "float16", "float32", "float64",
)  # fmt: skip
_AGAIN = "check that the dataset is whole"


@dataclass(frozen=True)
class Feature:
    """One feature: its type, the shape of a step's value, and notes (of a video)."""

    dtype: str
    shape: tuple[int, ...]
    info: dict[str, Any]

    @property
    def is_depth(self) -> bool:
        """Whether a video or image feature holds depth."""
        return bool(self.info.get("is_depth_map") or self.info.get("video.is_depth_map"))


@dataclass(frozen=True)
class Info:
    """What the dataset says of itself."""

    rate_hz: float
    episodes: int
    steps: int
    features: dict[str, Feature]
    robot: str | None


def file_name(pattern: str, number: int, **words: str) -> str:
    """Path of the file ``number`` of one kind, in the order in which they are filled."""
    chunk, file = divmod(number, FILES_PER_CHUNK)
    return pattern.format(chunk_index=chunk, file_index=file, **words)


def read_info(root: Path) -> Info:
    """Reads ``meta/info.json``.

    Raises:
        DataError: it is missing or malformed, of another version, or names files in its own way.
    """
    try:
        raw: Any = json.loads(read_text(inside(root, INFO)))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{INFO} of {root} must be JSON: {error}", remedy=_AGAIN) from error
    version = raw.get("codebase_version") if isinstance(raw, dict) else None
    if not isinstance(version, str) or not version.startswith("v3."):
        raise DataError(
            "a dataset of LeRobot must be of version 3",
            received=version,
            remedy="convert it with lerobot's own convert_dataset_v21_to_v30",
        )
    for name, ours in (("data_path", DATA_PATH), ("video_path", VIDEO_PATH)):
        if raw.get(name, ours) not in (ours, None):  # a foreign pattern is never filled in
            raise DataError(f"{name} of a dataset must be {ours}", received=raw[name])
    rate: Any = raw.get("fps")
    counts: Any = [raw.get("total_episodes"), raw.get("total_frames")]
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1e5:
        raise DataError("fps of a dataset must be a number above 0", received=rate)
    if not all(isinstance(count, int) and count > 0 for count in counts):
        raise DataError("a dataset must have episodes and frames", received=counts)
    features = raw.get("features")
    if not isinstance(features, dict):
        raise DataError(f"{INFO} must list the features", received=type(features).__name__)
    robot = raw.get("robot_type")
    return Info(
        float(rate), counts[0], counts[1],
        {str(key): _feature(str(key), value) for key, value in features.items()},
        robot if isinstance(robot, str) else None,
    )  # fmt: skip


def _feature(key: str, value: Any) -> Feature:
    found: dict[str, Any] = value if isinstance(value, dict) else {}
    dtype: Any = found.get("dtype")
    shape: Any = found.get("shape")
    info: Any = found.get("info")
    fits = isinstance(dtype, str) and isinstance(shape, list | tuple) and len(shape) <= 5
    if not fits or not all(isinstance(axis, int) and 0 < axis < 2**31 for axis in shape):
        raise DataError(
            f"feature '{key}' must say its type and shape", received=(dtype, shape), remedy=_AGAIN
        )
    if "/" in key or "\\" in key or key in (".", ".."):
        raise DataError("the name of a feature must be no path", received=key)
    return Feature(dtype, tuple(shape), info if isinstance(info, dict) else {})
