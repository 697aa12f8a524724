"""Videos that play at the speed of the task, as mp4 (H.264) that browsers open."""

from __future__ import annotations

import math
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

MIN_SIDE_PX = 256
MAX_FPS = 30.0
FALLBACK_RATE_HZ = 20.0


class VideoWriter:
    """Writes control steps to an mp4 that appears under its name only when it is complete.

    Every stride-th step becomes a frame, such that at most 30 frames a second play in real time.
    Frames smaller than 256 pixels are enlarged by a whole factor.

    Args:
        path: the file to write, ending in .mp4.
        control_rate_hz: control steps a second; None where the task does not say.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "clip.mp4"
        >>> with VideoWriter(path, control_rate_hz=20.0) as video:
        ...     for step in range(5):
        ...         if video.wants(step):
        ...             video.add(np.full((128, 128, 3), 40 * step, dtype=np.uint8))
        >>> path.is_file()
        True
    """

    def __init__(self, path: Path, control_rate_hz: float | None) -> None:
        rate_hz = control_rate_hz or FALLBACK_RATE_HZ
        self.path = path
        self.stride = math.ceil(rate_hz / MAX_FPS)
        self.fps = rate_hz / self.stride
        self._partial = path.with_name(f".{path.name}")
        self._writer: Any = None

    def __enter__(self) -> VideoWriter:
        import imageio.v2

        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = imageio.v2.get_writer(
            self._partial,
            format="FFMPEG",  # type: ignore[arg-type]
            fps=self.fps,
            codec="libx264",
            quality=8,
            macro_block_size=2,
            ffmpeg_params=["-movflags", "+faststart"],
        )
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        if error_type is None:
            self._partial.replace(self.path)
        else:
            self._partial.unlink(missing_ok=True)

    def wants(self, step: int) -> bool:
        """Whether the state after ``step`` control steps becomes a frame."""
        return step % self.stride == 0

    def add(self, frame: np.ndarray) -> None:
        """Appends a frame (H, W, 3) uint8."""
        factor = math.ceil(MIN_SIDE_PX / min(frame.shape[:2]))
        self._writer.append_data(frame.repeat(factor, axis=0).repeat(factor, axis=1))
