"""What a user says of the bags: topics, frames, extrinsics, rate."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from mfpolicy.data.converting.placing import IDENTITY, CameraLayout, CropLayout, rigid
from mfpolicy.errors import ConfigError
from mfpolicy.options import parse_options

MATCHES = ("nearest", "next", "hold")
STAMPS = ("header", "received")
_FIELD = re.compile(r"(?!_)\w+(\.(?!_)\w+)*\Z")


@dataclass(frozen=True)
class StreamLayout:
    """Numbers of one topic, a part of the state or of the action.

    Attributes:
        topic: its name.
        field: where the numbers are in a message, names and positions with dots between them:
            ``position``, ``data``, ``points.0.positions``, ``pose``. All numbers below it count.
        names: joints in the order that is wanted, for messages with ``name`` or ``joint_names``.
        match: ``nearest`` in time; ``next``, the first at or after the step; ``hold``, the last at
            or before it, however old, for commands that are sent only when they change.

    Raises:
        ConfigError: a value does not fit.
    """

    topic: str = ""
    field: str = ""
    names: list | None = None
    match: str = "nearest"

    def __post_init__(self) -> None:
        if not self.topic or not _FIELD.match(self.field):
            raise ConfigError(
                "every part of state and action needs a topic and a field",
                received=(self.topic, self.field),
                remedy="for example topic: /joint_states, field: position",
            )
        if self.match not in MATCHES:
            raise ConfigError(f"match must be one of {', '.join(MATCHES)}", received=self.match)


@dataclass(frozen=True)
class PointsLayout:
    """A topic of PointCloud2.

    Attributes:
        topic: its name.
        T_world: (4, 4), frame of the points to the world's.
        frame_id: the frame that the messages must name; None does not look.
    """

    topic: str
    T_world: list = field(default_factory=lambda: IDENTITY)
    frame_id: str | None = None

    def __post_init__(self) -> None:
        rigid("cloud.T_world", self.T_world)


@dataclass(frozen=True)
class RosLayout:
    """Which topics are what.

    Attributes:
        rate_hz: steps a second of the dataset.
        state, action: lists of ``StreamLayout``, one behind the other.
        cloud: a topic of PointCloud2; or
        camera: topics of depth images, of their CameraInfo (unless ``intrinsics`` are given), and
            of color images aligned with them.
        frame_id: the frame that depth images must name; None does not look.
        crop: box that is kept.
        tolerance_s: how far in time a message may be from its step; None: half a step.
        stamps: ``header``: of the messages, where they have one; ``received``: of the bag.

    Raises:
        ConfigError: a value does not fit.
    """

    rate_hz: float
    state: list
    action: list
    cloud: PointsLayout | None = None
    camera: CameraLayout | None = None
    frame_id: str | None = None
    crop: CropLayout | None = None
    tolerance_s: float | None = None
    stamps: str = "header"

    def __post_init__(self) -> None:
        if not 0 < self.rate_hz <= 10_000:
            raise ConfigError("rate_hz must be above 0", received=self.rate_hz)
        if self.tolerance_s is not None and not 0 < self.tolerance_s < 1e6:
            raise ConfigError("tolerance_s must be above 0", received=self.tolerance_s)
        if self.stamps not in STAMPS:
            raise ConfigError(f"stamps must be one of {', '.join(STAMPS)}", received=self.stamps)
        if (self.cloud is None) == (self.camera is None):
            raise ConfigError(
                "a layout must name either cloud (PointCloud2) or camera (depth)",
                received=(self.cloud, self.camera),
            )
        if self.camera and self.camera.info is None and self.camera.intrinsics is None:
            raise ConfigError("a depth camera needs its info topic, or intrinsics")
        for name in ("state", "action"):
            parts: Any = getattr(self, name)
            if not isinstance(parts, list) or not parts:
                raise ConfigError(f"{name} must be a list of topics and fields", received=parts)
            object.__setattr__(self, name, [parse_options(StreamLayout, part) for part in parts])

    @property
    def tolerance(self) -> float:
        """Seconds that a message may be from its step."""
        return self.tolerance_s or 0.5 / self.rate_hz

    @property
    def streams(self) -> list[StreamLayout]:
        """Those of the state, then those of the action."""
        return [*self.state, *self.action]

    @property
    def seen_topic(self) -> str:
        """The topic that clouds are made of."""
        if self.cloud is not None:
            return self.cloud.topic
        assert self.camera is not None
        return self.camera.depth

    @property
    def color_topic(self) -> str | None:
        """The topic of color images, where they color depth."""
        return None if self.camera is None else self.camera.color
