"""Frames of one camera in an MP4 file, several episodes behind one another."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.converting.lerobot_v3.info import Feature
from mfpolicy.data.converting.packages import required
from mfpolicy.errors import DataError

CODEC, QUALITY_CRF, KEYFRAME_EVERY = "libx264", 18, 2
_DEPTH_LEVELS = 4095  # 12 bits
_READ = {"protocol_whitelist": "file", "enable_drefs": "0"}  # a file names no other files
_MAX_PIXELS = 1 << 26


class VideoWriter:
    """Writes frames (L, H, W, 3) uint8 to one MP4 file, H.264; what is read differs a little.

    Args:
        path: of the file; its name need not end in mp4.
        size: (H, W).
        rate_hz: frames a second.
    """

    def __init__(self, path: Path, size: tuple[int, int], rate_hz: float) -> None:
        av = required("av", "video of LeRobot's format")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._frame = av.VideoFrame
        self._container: Any = av.open(str(path), "w", format="mp4")
        options = {"crf": str(QUALITY_CRF), "g": str(KEYFRAME_EVERY)}
        rate = Fraction(rate_hz).limit_denominator(1000)
        self._stream = self._container.add_stream(CODEC, rate, options=options)
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = pixel_format(size)
        self.frames = 0

    def append(self, frames: np.ndarray) -> None:
        """Encodes frames (L, H, W, 3) uint8 behind those before."""
        for picture in frames:
            frame = self._frame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            self._container.mux(self._stream.encode(frame))
            self.frames += 1

    def close(self) -> None:
        """Ends the file."""
        if self._container is not None:
            if self.frames:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            self._container = None


def pixel_format(size: tuple[int, int]) -> str:
    """Colors at half resolution, as LeRobot's own, where the size is even."""
    return "yuv444p" if size[0] % 2 or size[1] % 2 else "yuv420p"


def video_info(size: tuple[int, int], rate_hz: float) -> dict[str, Any]:
    """Notes of a video as ``meta/info.json`` has them."""
    return {
        "video.height": size[0], "video.width": size[1], "video.codec": "h264",
        "video.pix_fmt": pixel_format(size), "video.fps": int(round(rate_hz)),
        "video.channels": 3, "has_audio": False, "is_depth_map": False,
    }  # fmt: skip


def read_video(
    path: Path, feature: Feature, start_s: float, count: int, rate_hz: float
) -> np.ndarray:
    """Frames ``start_s``, ``start_s + 1/rate_hz``, … of a file.

    Returns:
        (count, H, W, 3) uint8, or depth in metres (count, H, W) float32.

    Raises:
        DataError: it is no such video, of another size, or lacks a frame.
    """
    av = required("av", "video of LeRobot's format")
    height, width = picture_size(feature)
    shape = (count, height, width) if feature.is_depth else (count, height, width, 3)
    frames = np.empty(shape, np.float32 if feature.is_depth else np.uint8)
    done = 0
    try:
        with av.open(str(path), format="mp4", options=_READ) as container:
            stream = container.streams.video[0]
            if (stream.height, stream.width) != (height, width):
                raise DataError(
                    f"frames of {path} must be {height} x {width}",
                    received=f"{stream.height} x {stream.width}",
                )
            for frame in _from(container, stream, start_s):
                expected_s = start_s + done / rate_hz
                seen_s = float(frame.pts * stream.time_base)
                if seen_s < expected_s - 0.5 / rate_hz:
                    continue
                if seen_s > expected_s + 0.5 / rate_hz:
                    break
                frames[done] = _picture(frame, feature)
                done += 1
                if done == count:
                    return frames
    except DataError:
        raise
    except Exception as error:  # av raises many kinds
        raise DataError(f"{path} must be an MP4 video: {error}") from error
    raise DataError(
        f"{path} must have {count} frames from {start_s:.3f} s on, one every {1 / rate_hz:.4f} s",
        received=f"{done}",
    )


def read_picture(content: object, feature: Feature, name: str) -> np.ndarray:
    """One encoded picture (PNG, JPEG, TIFF) of an image feature: (H, W, 3) uint8, or depth.

    Raises:
        DataError: it lies outside the parquet file, is no picture, or of another size.
    """
    if not isinstance(content, bytes):
        raise DataError(
            f"pictures of '{name}' must lie in the parquet file", received=type(content).__name__
        )
    from PIL import Image

    height, width = picture_size(feature)
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "TIFF")) as picture:
            if picture.size != (width, height):
                raise DataError(
                    f"pictures of '{name}' must be {height} x {width}", received=picture.size[::-1]
                )
            if feature.is_depth:
                return _image_metres(np.asarray(picture), feature)
            return np.asarray(picture.convert("RGB"))
    except DataError:
        raise
    except Exception as error:  # PIL raises many kinds
        raise DataError(f"a picture of '{name}' cannot be read: {error}") from error


def picture_size(feature: Feature) -> tuple[int, int]:
    """(H, W) of a video or image feature, channels first or last.

    Raises:
        DataError: it has no such shape.
    """
    shape = feature.shape
    if len(shape) == 3 and shape[2] in (1, 3):
        height, width = shape[:2]
    elif len(shape) == 3 and shape[0] in (1, 3):
        height, width = shape[1:]
    elif len(shape) == 2:
        height, width = shape
    else:
        raise DataError("pictures must have height, width and 1 or 3 channels", received=shape)
    if height * width > _MAX_PIXELS:
        raise DataError(f"a picture must have at most {_MAX_PIXELS} pixels", received=shape)
    return height, width


def depth_metres(levels: np.ndarray, info: dict[str, Any]) -> np.ndarray:
    """12-bit levels of a depth video in metres, (…) float32, as the feature's notes say.

    LeRobot spreads depths from ``depth_min`` to ``depth_max`` over 0 to 4095, by default evenly
    in log(depth + shift).

    Example:
        >>> [round(float(metres), 3) for metres in depth_metres(np.array([0, 4095]), {})]
        [0.01, 10.0]
    """
    values = {"depth_min": 0.01, "depth_max": 10.0, "shift": 3.5}
    for name in values:
        given = info.get(f"video.{name}")
        if isinstance(given, int | float) and math.isfinite(given):
            values[name] = float(given)
    low, high, shift = values.values()
    share = levels.astype(np.float64) / _DEPTH_LEVELS
    if info.get("video.use_log", True):
        if low + shift <= 0 or high <= low:
            raise DataError("depth_min + shift must be above 0", received=(low, high, shift))
        begin, end = math.log(low + shift), math.log(high + shift)
        found = np.exp(share * (end - begin) + begin) - shift
    else:
        found = share * (high - low) + low
    return found.clip(low, high).astype(np.float32)


def _from(container: Any, stream: Any, start_s: float) -> Iterator[Any]:
    """Decoded frames from the keyframe at or before ``start_s`` on."""
    container.seek(max(round(start_s / stream.time_base) - 1, 0), stream=stream, backward=True)
    for frame in container.decode(stream):
        if frame.pts is not None:
            yield frame


def _picture(frame: Any, feature: Feature) -> np.ndarray:
    if feature.is_depth:
        return depth_metres(frame.to_ndarray(format="gray12le"), feature.info)
    return frame.to_ndarray(format="rgb24")


def _image_metres(picture: np.ndarray, feature: Feature) -> np.ndarray:
    unit = feature.info.get("depth_unit", "mm" if picture.dtype.kind in "iu" else "m")
    return picture.astype(np.float32) * np.float32(0.001 if unit == "mm" else 1.0)
