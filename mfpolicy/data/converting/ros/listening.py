"""The first pass through a bag: when each message was, and what states and actions say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.converting.foreign import MAX_STEPS
from mfpolicy.data.converting.ros.bag import Bag
from mfpolicy.data.converting.ros.layout import RosLayout
from mfpolicy.data.converting.ros.messages import intrinsics, values
from mfpolicy.errors import DataError


@dataclass(frozen=True)
class Heard:
    """What a first pass finds.

    Attributes:
        stamps: (M,) s, sorted, of each topic.
        numbers: (M, D) of each stream, in the order of its stamps.
        order: of each topic, position in the bag → place in time.
        matrix: (3, 3) intrinsics of the depth camera, our convention; None without one.
        info: the CameraInfo that the matrix is of; None where the layout gives it.
    """

    stamps: dict[str, np.ndarray]
    numbers: list[np.ndarray]
    order: dict[str, np.ndarray]
    matrix: np.ndarray | None
    info: Any = None


def listen(path: Path, layout: RosLayout) -> Heard:
    """Goes through a bag once, without decoding clouds and images.

    Raises:
        DataError: a topic is missing, silent, or its messages are not what the layout says.
    """
    bag = Bag(path)
    camera = layout.camera
    pictures = (layout.seen_topic, layout.color_topic)
    topics = {name for name in (*pictures, *(each.topic for each in layout.streams)) if name}
    info_topic = camera.info if camera is not None and camera.intrinsics is None else None
    info: Any = None
    stamps: dict[str, list[float]] = {name: [] for name in topics}
    numbers: list[list[np.ndarray]] = [[] for _ in layout.streams]
    matrix = camera.matrix(path.name) if camera is not None and camera.intrinsics else None
    try:
        wanted = topics | ({info_topic} if info_topic else set())
        for topic, received, stamp, raw, kind in bag.messages(wanted):
            if topic == info_topic:
                if info is None:
                    info = bag.decoded(raw, kind)
                    matrix = intrinsics(info, topic)
                continue
            use_header = layout.stamps == "header" and stamp is not None
            stamps[topic].append(stamp if use_header and stamp is not None else received)
            if len(stamps[topic]) > MAX_STEPS:
                raise DataError(f"{path} has too many messages", received=topic)
            mine = [number for number, each in enumerate(layout.streams) if each.topic == topic]
            message = bag.decoded(raw, kind) if mine else None
            for number in mine:
                each = layout.streams[number]
                numbers[number].append(values(message, each.field, each.names, f"of {topic}"))
    finally:
        bag.close()
    if empty := [name for name, found in stamps.items() if not found]:
        raise DataError(f"{path} must have messages of {empty}")
    if camera is not None and matrix is None:
        raise DataError(f"{path} must have a message of {info_topic}")
    order = {name: np.argsort(found, kind="stable") for name, found in stamps.items()}
    return Heard(
        {name: np.asarray(found)[order[name]] for name, found in stamps.items()},
        [_stack(found, each.topic)[order[each.topic]]
         for found, each in zip(numbers, layout.streams, strict=True)],
        {name: np.argsort(places) for name, places in order.items()}, matrix, info,
    )  # fmt: skip


def _stack(rows: list[np.ndarray], topic: str) -> np.ndarray:
    sizes = sorted({len(row) for row in rows})
    if len(sizes) != 1:
        raise DataError(f"all messages of {topic} must have equally many numbers", received=sizes)
    return np.stack(rows)
