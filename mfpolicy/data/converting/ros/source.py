"""Bags of ROS → a dataset of ours: every step the messages nearest in time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mfpolicy.data.converting.base import FORMATS, Source, Target, digest, provenance
from mfpolicy.data.converting.clouds import DEFAULT_POINTS, CloudMaker
from mfpolicy.data.converting.placing import camera_notes
from mfpolicy.data.converting.ros.bag import looks_like_bag
from mfpolicy.data.converting.ros.layout import RosLayout
from mfpolicy.data.converting.ros.listening import Heard, listen
from mfpolicy.data.converting.ros.second_pass import SecondPass
from mfpolicy.data.converting.ros.timing import matched, steps_of
from mfpolicy.data.episode import Episode
from mfpolicy.data.schema import DatasetSpec
from mfpolicy.errors import ConfigError, DataError


@FORMATS.register("ros")
class RosSource(Source):
    """A bag, or a folder of bags, each an episode.

    Raises:
        BackendError: rosbags is missing.
        ConfigError: there is no layout.
        DataError: it is no bag, lacks a topic, or a message is not what the layout says.
    """

    layout_kind = RosLayout

    def __init__(self, path: Path, target: Target) -> None:
        if target.layout is None:
            raise ConfigError(
                "a bag of ROS does not say which topics are state, action and cloud",
                received=path.name,
                remedy="say them in layout=FILE.yaml (docs/data.md)",
            )
        self._layout: RosLayout = target.layout
        self._target, self._bags = target, _bags(path)
        self.count = len(self._bags)
        if not self._bags:
            raise DataError("there must be a bag, or a folder of bags", received=str(path))
        self._maker = CloudMaker(target.points or DEFAULT_POINTS, self._layout.crop)
        self._offsets: dict[str, list[np.ndarray]] = {}
        self._first: tuple[int, Heard] | None = (0, listen(self._bags[0], target.layout))
        heard, layout = self._first[1], self._layout
        sizes = [numbers.shape[1] for numbers in heard.numbers]
        self.sha256 = digest(_identity(self._bags))
        task = target.task
        self.spec = DatasetSpec(
            task=None if task is None else task.name,
            control_rate_hz=layout.rate_hz,
            expert=f"ros {path.name} sha256:{self.sha256}",
            recipe=None,
            camera=camera_notes(layout.camera, heard.matrix),
            state_dim=sum(sizes[: len(layout.state)]),
            action_dim=sum(sizes[len(layout.state) :]),
            points=self._maker.points,
            extra=provenance(
                "ros", path, self.sha256, success="not recorded; assumed",
                tolerance_s=layout.tolerance, stamps=layout.stamps,
                state=[f"{each.topic} {each.field}" for each in layout.state],
                action=[f"{each.topic} {each.field}" for each in layout.action],
            ),
        )  # fmt: skip

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A bag, or a folder of bags."""
        return bool(_bags(path))

    def episode(self, index: int) -> Episode:
        """Reads one bag.

        Raises:
            DataError: it is damaged, or a step has no message within the tolerance.
        """
        path, layout = self._bags[index], self._layout
        known = self._first is not None and self._first[0] == index
        heard = self._first[1] if known and self._first else listen(path, layout)
        self._first = None
        seen_topic = layout.seen_topic
        topics = {seen_topic, *(each.topic for each in layout.streams)}
        times = steps_of(
            {name: heard.stamps[name] for name in topics if not self._is_held(name)},
            layout.rate_hz, path.name,
        )  # fmt: skip
        chosen = matched(heard.stamps[seen_topic], times, "nearest")
        seen_s = heard.stamps[seen_topic][chosen]
        offsets = [self._checked(seen_topic, "nearest", seen_s - times, path)]
        rows = []
        for each, numbers in zip(layout.streams, heard.numbers, strict=True):
            picks = matched(heard.stamps[each.topic], seen_s, each.match)
            apart = heard.stamps[each.topic][picks] - seen_s
            offsets.append(self._checked(each.topic, each.match, apart, path))
            rows.append(numbers[picks])
        split = len(layout.state)
        wanted = {seen_topic: chosen}
        if layout.color_topic is not None:
            colored = heard.stamps[layout.color_topic]
            wanted[layout.color_topic] = matched(colored, seen_s, "nearest")
            apart = colored[wanted[layout.color_topic]] - seen_s
            self._checked(layout.color_topic, "nearest", apart, path)
        clouds, colors, pictures = SecondPass(
            path, layout, heard, self._maker, self._target.store_extras, index
        ).run(wanted)
        extras = {"stamp_s": seen_s, "offset_s": np.stack(offsets, axis=1).astype(np.float32)}
        return Episode(
            point_cloud=clouds,
            agent_pos=np.concatenate(rows[:split], axis=1),
            action=np.concatenate(rows[split:], axis=1),
            seed=index,
            success=True,
            color=colors if self._target.store_extras else None,
            extras={**extras, **pictures} if self._target.store_extras else {},
        )

    def summary(self) -> list[tuple[str, str]]:
        """How far in time the messages were from their steps, by topic."""
        limit = self._layout.tolerance
        rows = []
        for topic, parts in self._offsets.items():
            apart = np.abs(np.concatenate(parts)) * 1e3
            rows.append((
                topic, f"{apart.mean():.1f} ms from its step on average, {apart.max():.1f} ms at "
                f"most (tolerance {limit * 1e3:.0f} ms)",
            ))  # fmt: skip
        return rows

    def _is_held(self, topic: str) -> bool:
        return any(each.topic == topic and each.match == "hold" for each in self._layout.streams)

    def _checked(self, topic: str, match: str, apart: np.ndarray, path: Path) -> np.ndarray:
        """``apart`` (L,), s, refused where a message is too far from its step."""
        limit = self._layout.tolerance * (2 if match == "next" else 1)
        late = np.abs(apart) > limit + 1e-6
        if match == "next":
            late |= apart < -1e-6
        elif match == "hold":
            late = apart > limit + 1e-6
        if late.any():
            step = int(np.argmax(late))
            raise DataError(
                f"every step of {path.name} must have a message of {topic} within {limit:.3f} s",
                received=f"{apart[step]:.3f} s at step {step}, {int(late.sum())} such steps",
                remedy="raise tolerance_s, lower rate_hz, or leave the bag out",
            )
        self._offsets.setdefault(topic, []).append(apart)
        return apart


def _bags(path: Path) -> list[Path]:
    if looks_like_bag(path):
        return [path]
    return sorted(each for each in path.iterdir() if looks_like_bag(each)) if path.is_dir() else []


def _identity(bags: list[Path]) -> Iterator[bytes]:
    """Names and sizes of the files, and what they begin with."""
    for bag in bags:
        for file in sorted(bag.iterdir()) if bag.is_dir() else [bag]:
            yield f"{bag.name}/{file.name} {file.stat().st_size}".encode()
            with file.open("rb") as stream:
                yield stream.read(1 << 16)
