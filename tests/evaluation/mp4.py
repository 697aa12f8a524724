"""Reads videos back, with ffmpeg alone."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np


@dataclass(frozen=True)
class Video:
    codec: str
    fps: float
    frames: np.ndarray  # (N, H, W, 3) uint8


def read_video(path: Path) -> Video:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo"]
    shown = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    stream = next(line for line in shown.stderr.decode().splitlines() if "Video:" in line)
    codec = re.search(r"Video: (\w+)", stream)[1]
    width, height = re.search(r", (\d+)x(\d+)", stream).groups()
    fps = re.search(r"([\d.]+) fps", stream)[1]
    frames = np.frombuffer(shown.stdout, np.uint8).reshape(-1, int(height), int(width), 3)
    return Video(codec, float(fps), frames)
