"""Episodes for rerun's viewer: a tab each, one timeline of steps to scrub through.

The layout of a recording, for each episode K::

    episode_K/cloud         points with their colors, world frame, metres
    episode_K/camera        where the camera stands; episode_K/camera/image what it saw
    episode_K/state         all channels; episode_K/action likewise

Timelines: ``step``, the number of the step within its episode, and ``time`` where the dataset says
its control rate.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mfpolicy.data.camera import camera_matrices
from mfpolicy.data.reader import Dataset
from mfpolicy.data.viewing.episodes import ViewedEpisode
from mfpolicy.data.viewing.replacing import replaced
from mfpolicy.errors import BackendError

if TYPE_CHECKING:
    import rerun

_JPEG_QUALITY = 85
_POINT_RADIUS_PX = 2.5


def write_recording(
    dataset: Dataset, episodes: Iterable[ViewedEpisode], out: str | os.PathLike[str]
) -> Path:
    """Writes a ``.rrd`` file; one that is there is replaced when the new one is complete.

    Args:
        dataset: what they are of.
        episodes: what to show.
        out: the file.

    Raises:
        BackendError: the rerun SDK is not installed.
        DataError: the disk refuses.

    Example:
        >>> dataset = open_dataset("data/a.zarr")                                  # doctest: +SKIP
        >>> write_recording(dataset, viewed_episodes(dataset, [0]), "a.rrd")       # doctest: +SKIP
    """
    target = Path(out).expanduser()
    stream = _stream(dataset)
    with replaced(target) as draft:
        try:
            stream.save(draft)
            _log_all(stream, dataset, episodes)
        finally:
            stream.disconnect()
    return target


def open_viewer(dataset: Dataset, episodes: Iterable[ViewedEpisode]) -> None:
    """Opens rerun's viewer with the episodes; it stays open when this returns.

    Raises:
        BackendError: the rerun SDK is not installed, or there is no screen.
    """
    stream = _stream(dataset)
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform == "linux" and not any(os.environ.get(name) for name in screens):
        raise BackendError(
            "rerun's viewer needs a screen",
            received="neither DISPLAY nor WAYLAND_DISPLAY is set",
            remedy="out=episode.html opens in any browser; out=episode.rrd can be opened elsewhere",
        )
    stream.spawn()
    _log_all(stream, dataset, episodes)
    stream.flush()


def _stream(dataset: Dataset) -> rerun.RecordingStream:
    try:
        import rerun
    except ImportError as error:
        raise BackendError(
            "rerun's recordings need the package rerun-sdk",
            received=str(error),
            remedy="pip install 'mfpolicy[view]'; out=episode.html needs nothing",
        ) from error
    stream = rerun.RecordingStream("mfpolicy")
    stream.set_log_time_enabled(False)
    stream.set_log_tick_enabled(False)
    stream.send_recording_name(dataset.path.resolve().name)
    return stream


def _log_all(
    stream: rerun.RecordingStream, dataset: Dataset, episodes: Iterable[ViewedEpisode]
) -> None:
    shown: list[tuple[int, bool]] = []
    for episode in episodes:
        _log_episode(stream, dataset, episode)
        shown.append((episode.index, episode.image is not None))
    stream.send_blueprint(_layout(shown))


def _log_episode(stream: rerun.RecordingStream, dataset: Dataset, episode: ViewedEpisode) -> None:
    import rerun

    root = f"episode_{episode.index}"
    stream.log(root, rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    times = _times(episode.steps, dataset.spec.control_rate_hz)
    seen = np.isfinite(episode.cloud).all(axis=2)  # (T, P)
    counts = seen.sum(axis=1)
    points: dict[str, Any] = {"positions": episode.cloud[seen]}
    if episode.color is not None:
        points["colors"] = episode.color[seen]
    columns = rerun.Points3D.columns(**points).partition(counts)
    stream.send_columns(f"{root}/cloud", times, columns)
    radii = np.array([rerun.Radius.ui_points(_POINT_RADIUS_PX)])
    stream.log(f"{root}/cloud", rerun.Points3D.from_fields(radii=radii), static=True)
    for name, values in (("state", episode.state), ("action", episode.action)):
        size = values.shape[1]
        scalars = rerun.Scalars.columns(scalars=values.reshape(-1).astype(np.float64))
        stream.send_columns(f"{root}/{name}", times, scalars.partition([size] * len(values)))
        names = [f"{name} {channel}" for channel in range(size)]
        stream.log(f"{root}/{name}", rerun.SeriesLines(names=names), static=True)
    _log_camera(stream, dataset, episode, f"{root}/camera")


def _log_camera(
    stream: rerun.RecordingStream, dataset: Dataset, episode: ViewedEpisode, path: str
) -> None:
    import rerun

    if episode.image is None:
        return
    matrices = camera_matrices(dataset.spec)
    if matrices is not None:
        intrinsics, pose = matrices
        placed = rerun.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3])
        height, width = episode.image.shape[1:3]
        lens = rerun.Pinhole(image_from_camera=intrinsics, width=width, height=height)
        stream.log(path, placed, lens, static=True)
    for step, image in zip(episode.steps, episode.image, strict=True):
        stream.set_time("step", sequence=int(step))
        if dataset.spec.control_rate_hz:
            stream.set_time("time", duration=float(step / dataset.spec.control_rate_hz))
        stream.log(f"{path}/image", rerun.Image(image).compress(jpeg_quality=_JPEG_QUALITY))
    stream.reset_time()


def _times(steps: np.ndarray, rate_hz: float | None) -> list[rerun.TimeColumn]:
    import rerun

    times = [rerun.TimeColumn("step", sequence=steps)]
    if rate_hz:
        times.append(rerun.TimeColumn("time", duration=steps / rate_hz))
    return times


def _layout(shown: list[tuple[int, bool]]) -> Any:
    """One tab an episode: its cloud beside its image and its curves."""
    from rerun import blueprint

    tabs = []
    for index, has_image in shown:
        root = f"/episode_{index}"
        beside: list[Any] = [
            blueprint.TimeSeriesView(origin=f"{root}/{name}", name=name)
            for name in ("state", "action")
        ]
        if has_image:
            image = blueprint.Spatial2DView(origin=f"{root}/camera/image", name="camera")
            beside.insert(0, image)
        cloud = blueprint.Spatial3DView(origin=root, name="point cloud")
        tabs.append(
            blueprint.Horizontal(
                cloud,
                blueprint.Vertical(*beside),
                column_shares=[3, 2],
                name=f"episode {index}",
            )
        )
    return blueprint.Blueprint(blueprint.Tabs(*tabs), blueprint.TimePanel(timeline="step"))
