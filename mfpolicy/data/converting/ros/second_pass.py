"""The second pass through a bag: clouds and pictures of the messages that belong to steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.converting.clouds import CloudMaker
from mfpolicy.data.converting.foreign import bounded
from mfpolicy.data.converting.ros.bag import Bag
from mfpolicy.data.converting.ros.layout import RosLayout
from mfpolicy.data.converting.ros.listening import Heard
from mfpolicy.data.converting.ros.messages import image, intrinsics, point_cloud
from mfpolicy.errors import DataError
from mfpolicy.pointcloud.geometry import metres

_Made = tuple[np.ndarray, np.ndarray | None]


@dataclass
class SecondPass:
    """Makes a cloud of each message as it comes by, so that few of them are in memory.

    Args: the bag, its layout, what the first pass found, the maker of the clouds, whether to keep
    the pictures of the steps, and the number of the episode, for messages.
    """

    _path: Path
    _layout: RosLayout
    _heard: Heard
    _maker: CloudMaker
    _store: bool
    _index: int
    _pictures: dict[int, list[np.ndarray]] = field(default_factory=dict)

    def run(
        self, wanted: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray | None, dict[str, np.ndarray]]:
        """Clouds (L, P, 3), colors (L, P, 3) or None, and pictures by name.

        Args:
            wanted: (L,) numbers of the messages, clouds or depth first, then color.

        Raises:
            DataError: a message is not what the layout says, or no point of it is left.
        """
        length = len(next(iter(wanted.values())))
        by_step: dict[int, _Made] = {}
        for messages, steps in self._by_step(wanted):
            where = f"at step {steps[0]} of episode {self._index}"
            if self._layout.cloud is not None:
                made = self._of_points(messages, where)
            else:
                made = self._of_depth(messages, steps, length, where)
            by_step.update(dict.fromkeys(steps, made))
        clouds = np.stack([by_step[step][0] for step in range(length)])
        colors = [by_step[step][1] for step in range(length) if by_step[step][1] is not None]
        if colors and len(colors) != length:
            raise DataError("all clouds of an episode must have colors, or none")
        names = ("depth", "img")[: len(self._pictures[0]) if self._pictures else 0]
        stored = {name: np.stack([self._pictures[step][place] for step in range(length)])
                  for place, name in enumerate(names)}  # fmt: skip
        return clouds, np.stack(colors) if colors else None, stored  # pyright: ignore[reportCallIssue, reportArgumentType]

    def _by_step(self, wanted: dict[str, np.ndarray]) -> Iterator[tuple[list[Any], list[int]]]:
        """Messages of the topics, together for each combination that steps need."""
        bag, counts = Bag(self._path), dict.fromkeys(wanted, 0)
        picks = np.stack(list(wanted.values()), axis=1)  # (L, topics)
        combinations, places = np.unique(picks, axis=0, return_inverse=True)
        uses = [dict(zip(*np.unique(combinations[:, column], return_counts=True), strict=True))
                for column in range(len(wanted))]  # fmt: skip
        held: list[dict[int, Any]] = [{} for _ in wanted]
        names = list(wanted)
        try:
            for topic, _, _, raw, kind in bag.messages(set(names)):
                column = names.index(topic)
                place = int(self._heard.order[topic][counts[topic]])
                counts[topic] += 1
                if place not in uses[column]:
                    continue
                held[column][place] = bag.decoded(raw, kind)
                for number in np.flatnonzero(combinations[:, column] == place):
                    parts = [held[c].get(int(combinations[number, c])) for c in range(len(names))]
                    if any(part is None for part in parts):
                        continue
                    yield parts, np.flatnonzero(places.reshape(-1) == number).tolist()
                    for c in range(len(names)):
                        uses[c][int(combinations[number, c])] -= 1
                        if uses[c][int(combinations[number, c])] == 0:
                            del held[c][int(combinations[number, c])]
        finally:
            bag.close()

    def _of_points(self, messages: list[Any], where: str) -> _Made:
        layout = self._layout.cloud
        assert layout is not None
        _require_frame(messages[0], layout.frame_id, where)
        xyz, colors = point_cloud(messages[0], where)
        pose = np.asarray(layout.T_world, np.float64)
        return self._maker.from_points(xyz, colors, pose, where)

    def _of_depth(self, messages: list[Any], steps: list[int], length: int, where: str) -> _Made:
        camera = self._layout.camera
        assert camera is not None
        assert self._heard.matrix is not None
        _require_frame(messages[0], self._layout.frame_id, where)
        depth = metres(image(messages[0], where), camera.metres_per_unit)
        color = image(messages[1], where) if len(messages) > 1 else None
        if depth.ndim != 2 or (color is not None and color.ndim != 3):
            raise DataError(f"camera.depth must be depth, camera.color color {where}")
        if self._heard.info is not None:
            intrinsics(self._heard.info, where, depth.shape)
        if self._store:
            bounded("depth and color", (length, *depth.shape, 7), 1)
            stored = np.where(np.isfinite(depth), depth, 0)
            for step in steps:
                self._pictures[step] = [stored] if color is None else [stored, color]
        pose = np.asarray(camera.T_world_cam, np.float64)
        return self._maker.from_depth(depth, color, self._heard.matrix, pose, where)


def _require_frame(message: Any, frame_id: str | None, where: str) -> None:
    if frame_id is not None and message.header.frame_id != frame_id:
        raise DataError(
            f"messages must be in the frame {frame_id}, whose place the layout says",
            received=f"{message.header.frame_id} {where}",
        )
