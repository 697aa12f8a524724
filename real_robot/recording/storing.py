"""`DatasetStore`: recorded episodes into a dataset, each on the disk before the next begins."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from mfpolicy.data.episode import Episode
from mfpolicy.data.schema import DatasetSpec
from mfpolicy.errors import BackendError, DataError
from mfpolicy.pointcloud import PointCloudRecipe
from real_robot.core.perception import pose_matrix
from real_robot.node_settings import NodeSettings
from real_robot.parameters import RobotParameters
from real_robot.recording.episode import Steps
from real_robot.recording.settings import RecorderSettings

_MEANING = (
    "joints", "state", "action_kind", "action_scale", "action_offset", "gripper_column",
    "displacement_from", "cloud_frame", "metres_per_unit",
    "action_lower", "action_upper",
)  # fmt: skip
_NO_ZARR = BackendError(
    "a recorder writes zarr", remedy="pip install zarr numcodecs, in the Python that runs it"
)


class DatasetStore:
    """A dataset that episodes are appended to; one that is there is continued.

    A killed recorder loses the episode under way, and nothing else.

    Args:
        parameters: of the robot.
        settings: its topics.
        recording: path, recipe and notes.

    Attributes:
        episodes: that the dataset holds. sources: bags that they came from, if any.

    Raises:
        BackendError: zarr is missing.
        DataError: the dataset there is another, or somebody writes to it; or the disk refuses.
    """

    def __init__(
        self, parameters: RobotParameters, settings: NodeSettings, recording: RecorderSettings
    ) -> None:
        try:
            from mfpolicy.data.writer import DatasetWriter
        except ImportError as error:
            raise _NO_ZARR from error
        self._has_color = recording.color
        self._meaning = _meaning(parameters, settings, recording)
        spec = _spec(parameters, settings, recording, self._meaning)
        try:
            self._writer = DatasetWriter.open(recording.out, spec)
        except ImportError as error:
            raise _NO_ZARR from error
        try:
            self._check()
        except DataError:
            self._writer.close()
            raise

    @property
    def episodes(self) -> int:
        """That the dataset holds."""
        return self._writer.episode_count

    @property
    def sources(self) -> list[str]:
        """Names of the bags that were recorded from."""
        return list(self._writer.journal.get("sources", []))

    def append(self, steps: Steps, source: str | None = None) -> None:
        """Keeps an episode: when this returns, it is on the disk.

        Raises:
            DataError: a value is not finite, or the disk refuses.
        """
        arrays = steps.arrays()
        points = arrays["points"]
        sources: Sequence[str] = self.sources if source is None else [*self.sources, source]
        self._writer.append(
            Episode(
                point_cloud=points[..., :3],
                agent_pos=arrays["state"],
                action=arrays["action"],
                seed=self.episodes,
                success=True,
                color=points[..., 3:].astype(np.uint8) if self._has_color else None,
                extras={name: arrays[name] for name in ("timestamp_ns", "cloud_age_s")},
            ),
            journal={"sources": list(sources)},
        )

    def close(self) -> None:
        """Lets other writers in."""
        self._writer.close()

    def _check(self) -> None:
        there = self._writer.spec.extra.get("recorder")
        if there != self._meaning:
            told = there if isinstance(there, dict) else {}
            differ = {
                name: (told.get(name), mine)
                for name, mine in self._meaning.items()
                if told.get(name) != mine
            }
            raise DataError(
                f"a recording can only be continued as it began, in {self._writer.path}",
                received=f"there and now: {differ}",
                remedy="repeat what it began with, or record to another path",
            )


def _meaning(
    parameters: RobotParameters, settings: NodeSettings, recording: RecorderSettings
) -> dict[str, Any]:
    """What the numbers of a dataset mean; two recordings that differ in it cannot be one."""
    values = {name: getattr(parameters, name) for name in _MEANING}
    values |= {"state": parameters.state_elements, "axes": parameters.axes}
    values |= {"action_type": recording.source(settings)[1], "use_tf": settings.use_tf}
    values |= {"color": recording.color}
    return json.loads(json.dumps(values))


def _spec(
    parameters: RobotParameters,
    settings: NodeSettings,
    recording: RecorderSettings,
    meaning: dict[str, Any],
) -> DatasetSpec:
    facts = recording.facts(parameters)
    position, (x, y, z, w) = parameters.camera_pose
    T_world_cam = pose_matrix(*parameters.camera_pose)
    recipe = PointCloudRecipe(
        camera=parameters.cloud_frame,
        camera_position=position,
        image_size=0,
        crop_min=facts.crop_min,
        crop_max=facts.crop_max,
        points=facts.points,
        # half a turn about x: an optical frame looks along z, a camera of MuJoCo along -z
        camera_orientation=(-x, w, z, -y),
    )
    if settings.use_tf:
        recipe = dataclasses.replace(
            recipe, camera_position=(0.0, 0.0, 0.0), camera_orientation=None
        )
    return DatasetSpec(
        task=recording.task or None,
        control_rate_hz=parameters.rate_hz,
        expert=recording.demonstrator,
        recipe=recipe,
        camera=None if settings.use_tf else {"T_world_cam": T_world_cam.tolist()},
        state_dim=facts.state_dim,
        action_dim=facts.action_dim,
        points=facts.points,
        extra={"recorder": meaning},
    )
