"""A policy on a robot: numpy and onnxruntime, nothing else.

``mfpolicy export … format=folder`` copies this file, as it is, beside ``policy.onnx`` and
``spec.json``; nothing here may need more than numpy and onnxruntime.
"""

from __future__ import annotations

import collections
import json
import pathlib

import numpy as np

_SMALL_CLOUD = 256
_XYZRGB = 6


class RobotPolicy:
    """From points and robot states to actions.

    Args:
        folder: where ``policy.onnx`` and ``spec.json`` are; None takes the folder of this file.
        threads: CPU threads of a decision; None takes all cores.
        seed: of the noise; None draws another sequence each time.

    Attributes:
        spec: shapes and origin, as the policy was trained: n_obs_steps To, horizon Th,
            n_action_steps Ta, state_dim S, action_dim A, points P, control_rate_hz, …
        cameras: names of the cameras that its clouds were made from. apart: whether each camera's
            points are handed to ``observe`` by themselves, and not joined.
        crop_min, crop_max: corners of the box that points are kept in, world frame, metres; None
            where nothing is known of it.
    """

    def __init__(self, folder=None, *, threads=None, seed=None) -> None:
        import onnxruntime

        folder = pathlib.Path(folder if folder is not None else __file__)
        folder = folder.parent if folder.is_file() else folder
        stored = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
        self.spec, self._noise = stored["spec"], stored["export"]["noise"]
        recipe = self.spec["recipe"] or {}
        self.crop_min, self.crop_max = recipe.get("crop_min"), recipe.get("crop_max")
        self._points = self.spec["points"] or recipe.get("points")
        clouds = self.spec["encoder"].get("clouds") or 1
        views = [recipe, *recipe.get("further_cameras", ())] if recipe else [{}] * clouds
        self.cameras = [view.get("camera", f"camera {k}") for k, view in enumerate(views)]
        self.apart = recipe.get("clouds") == "apart" or clouds > 1
        self._random = np.random.default_rng(seed)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        self._session = onnxruntime.InferenceSession(
            str(folder / "policy.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self.reset()

    def reset(self) -> None:
        """Forgets what was observed: call it when an episode starts."""
        self._frames = collections.deque(maxlen=self.spec["n_obs_steps"])

    def observe(self, points_world, state) -> None:
        """Takes what the robot sees now.

        Args:
            points_world: (M, C), metres in the world frame, all that the camera sees; they are
                cropped and sampled as in training. C is 3, or 6 for a policy that sees colors:
                red, green and blue from 0 to 255 behind x, y, z. For a policy that was trained with
                ``clouds=apart``, a list of such arrays, one of each of ``cameras``.
            state: (S,).
        """
        if self.apart:
            points = self._in_turns(points_world)
        else:
            points = self._cropped(points_world)
            if self._points is not None:
                points = sample(points, self._points)
        self._frames.append((points, np.asarray(state, np.float32)))

    def _in_turns(self, seen):
        """(P, C) of K cameras' points: point i is of camera i mod K."""
        cameras = len(self.cameras)
        if not isinstance(seen, list | tuple) or len(seen) != cameras:
            raise ValueError(
                f"points must be a list of {cameras} arrays, of {', '.join(self.cameras)}. "
                f"Received: {len(seen) if isinstance(seen, list | tuple) else type(seen).__name__}."
            )
        cropped = [self._cropped(points) for points in seen]
        share = min(map(len, cropped)) if self._points is None else self._points // cameras
        parts = [sample(points, share) for points in cropped]
        return np.stack(parts, axis=1).reshape(cameras * share, -1)

    def _cropped(self, points_world):
        points = _cloud(points_world)
        if points.shape[1] != self.spec["point_dim"]:
            colors = ", x, y, z, red, green, blue" if self.spec["point_dim"] == _XYZRGB else ""
            raise ValueError(
                f"points must be (M, {self.spec['point_dim']}{colors}). Received: {points.shape}."
            )
        if self.crop_min is None:
            return points
        return points[crop(points, self.crop_min, self.crop_max)]

    def act(self, noise=None):
        """Returns the next actions (Ta, A), in the environment's units.

        Args:
            noise: (Th, A); None draws it.
        """
        if not self._frames:
            raise ValueError("observe() must be called before act()")
        missing = self.spec["n_obs_steps"] - len(self._frames)
        frames = [self._frames[0]] * missing + list(self._frames)
        clouds, states = (np.stack(part)[None] for part in zip(*frames, strict=True))
        return self.predict(clouds, states, None if noise is None else np.asarray(noise)[None])[0]

    def predict(self, point_cloud, agent_pos, noise=None):
        """Turns observations into action chunks.

        Args:
            point_cloud: (B, To, P, C), cropped and sampled, metres, world frame; colors from 0 to
                255.
            agent_pos: (B, To, S).
            noise: (B, Th, A); None draws it.

        Returns:
            Actions (B, Ta, A) float32.
        """
        spec, rows = self.spec, len(point_cloud)
        if noise is None:
            noise = self.draw_noise(rows)
        steps = spec["n_obs_steps"]
        shapes = {
            "point_cloud": (rows, steps, spec["points"], spec["point_dim"]),
            "agent_pos": (rows, steps, spec["state_dim"]),
            "noise": (rows, spec["horizon"], spec["action_dim"]),
        }
        feed = {
            name: _checked(name, value, shapes[name])
            for name, value in zip(shapes, (point_cloud, agent_pos, noise), strict=True)
        }
        if spec["point_dim"] == _XYZRGB:
            _check_colors(feed["point_cloud"][..., 3:])
        return np.asarray(self._session.run(None, feed)[0])

    def draw_noise(self, rows):
        """Draws what chunks start from, (rows, Th, A), as in training."""
        shape = (rows, self.spec["horizon"], self.spec["action_dim"])
        if self._noise["kind"] == "bounded":
            bound = self._noise["bound"]
            return self._random.uniform(-bound, bound, shape).astype(np.float32)
        noise = self._random.standard_normal(shape, dtype=np.float32)
        if self._noise["kind"] == "student_t":
            degrees = self._noise["degrees"]
            noise /= np.sqrt(self._random.chisquare(degrees, (rows, 1, 1)) / degrees)
        return noise.astype(np.float32)


def crop(points_world, minimum, maximum):
    """Marks the points (M, 3 or more) strictly inside a box, (M,)."""
    xyz = _cloud(points_world)[:, :3]
    return ((xyz > np.float32(minimum)) & (xyz < np.float32(maximum))).all(axis=1)


def sample(points, count):
    """Chooses ``count`` of the points (M, 3 or more) by farthest-point sampling on xyz.

    A cloud smaller than ``count`` is repeated cyclically. With the package fpsample it is faster.
    """
    cloud = _cloud(points)
    if not len(cloud):
        raise ValueError("no point lies inside the crop box: check the camera's pose and the box")
    if not np.isfinite(cloud).all():
        raise ValueError("every coordinate and channel of a point must be finite")
    xyz = np.ascontiguousarray(cloud[:, :3])
    return cloud[np.resize(_farthest_points(xyz, min(count, len(cloud))), count)]


def _farthest_points(xyz, count):
    low = xyz.min(axis=0)
    anchor = low - (xyz.max(axis=0) - low) - np.float32(1e-3)
    try:
        import fpsample
    except ImportError:
        fpsample = None
    if fpsample is not None and len(xyz) >= _SMALL_CLOUD:
        # it may only start from a point that its tree leaves in place: the anchor
        anchored = np.concatenate([anchor[None], xyz])
        chosen = fpsample.bucket_fps_kdline_sampling(anchored, count + 1, h=5, start_idx=0)
        return chosen[1:].astype(np.int64) - 1
    chosen = np.empty(count, np.int64)
    chosen[0] = np.argmax(_squared_distance(xyz, anchor))
    distance = np.full(len(xyz), np.inf, np.float32)
    for step in range(1, count):
        distance = np.minimum(distance, _squared_distance(xyz, xyz[chosen[step - 1]]))
        distance[chosen[step - 1]] = -1.0  # never twice, even where points coincide
        chosen[step] = np.argmax(distance)
    return chosen


def _squared_distance(xyz, point):
    offset = xyz - point
    return np.einsum("ij,ij->i", offset, offset)


def _cloud(points):
    cloud = np.asarray(points, np.float32)
    if cloud.ndim != 2 or cloud.shape[1] < 3:
        raise ValueError(f"points must be (M, 3 or more). Received: {cloud.shape}.")
    return cloud


def _checked(name, value, shape):
    array = np.ascontiguousarray(value, np.float32)
    fits = array.ndim == len(shape) and all(
        want in (None, got) for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits or not array.size:
        raise ValueError(f"{name} must have shape {shape}. Received: {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")
    return array


def _check_colors(colors):
    low, high = colors.min(), colors.max()
    if low < 0 or high > 255 or (high <= 1 and (colors % 1 != 0).any()):
        raise ValueError(
            f"colors must lie from 0 to 255; multiply those from 0 to 1 by 255. "
            f"Received: {low:g} to {high:g}."
        )
