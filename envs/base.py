"""`PointCloudEnv`: a Gymnasium environment that shows a task as point clouds, to any suite."""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import ArrayLike, NDArray

from envs.camera import OffscreenCamera
from envs.simulation import Simulation
from envs.suites import VideoView
from mfpolicy.errors import ActionError, ConfigError, ObservationError
from mfpolicy.pointcloud import PointCloudRecipe, crop, depth_to_points, sample, to_world
from mfpolicy.types import TaskSpec

_ROUNDING = 1e-6  # float32 arithmetic may leave the action space by this much


class PointCloudEnv(gymnasium.Env[dict[str, NDArray[np.float32]], NDArray[np.float32]]):
    """One task seen by one depth camera.

    Observations have ``point_cloud`` (P, 3) float32, world frame, metres, and ``agent_pos``
    (S,) float32. Actions are (A,) float32 in [-1, 1]. A cloud is rendered by `reset`, `step`
    and `observe`, not by `simulate`: use that for the steps the policy does not see.

    Args:
        simulation: the physics of the task.
        spec_task: the task; its horizon is the number of control steps before truncation.
        recipe: how the point cloud is made.
        video: the view of `render`.
        render_mode: ``rgb_array`` where `render` is wanted.

    Attributes:
        points_ms: milliseconds from depth image to point cloud in the last observation.
        render_ms: milliseconds of OpenGL in the last observation.

    Raises:
        ConfigError: the scene has no camera of the recipe's name, or the render mode is unknown.

    Example:
        >>> import envs
        >>> env = envs.make("metaworld/drawer-open", points=256)
        >>> observation, info = env.reset(seed=0)
        >>> observation["point_cloud"].shape, observation["agent_pos"].shape
        ((256, 3), (9,))
        >>> env.close()
    """

    def __init__(
        self,
        simulation: Simulation,
        spec_task: TaskSpec,
        recipe: PointCloudRecipe,
        video: VideoView,
        *,
        render_mode: str | None = None,
    ) -> None:
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": round(spec_task.control_rate_hz),
        }
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(
                "render_mode must be rgb_array or None", received=render_mode
            )
        self.render_mode = render_mode
        self.spec_task = spec_task
        self.recipe = recipe
        self.points_ms = self.render_ms = 0.0
        self._simulation = simulation
        self._video = video
        self._steps: int | None = None  # of this episode; None before the first reset
        size = recipe.image_size
        self._depth_camera = self._place_camera(simulation, recipe)
        self._video_camera = OffscreenCamera(
            simulation.model, video.camera, width=video.size, height=video.size, antialias=True
        )
        self.observation_space = Dict(
            {
                "point_cloud": Box(-np.inf, np.inf, (recipe.points, 3), np.float32),
                "agent_pos": Box(-np.inf, np.inf, (spec_task.state_dim,), np.float32),
            }
        )
        self.action_space = Box(-1.0, 1.0, (spec_task.action_dim,), np.float32)

    @property
    def camera(self) -> dict[str, Any]:
        """The depth camera as JSON-able values.

        ``intrinsics`` (3, 3) in pixels; ``T_world_cam`` (4, 4), camera frame x right, y down,
        z forward; ``image_size`` in pixels.
        """
        return {
            "intrinsics": self._depth_camera.intrinsics().tolist(),
            "T_world_cam": self._depth_camera.T_world_cam(self._simulation.data).tolist(),
            "image_size": self.recipe.image_size,
        }

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
        """Starts an episode and observes its first state.

        Args:
            seed: decides the placement, bit for bit. Without one it is drawn from the
                environment's own generator, as Gymnasium does.
            options: none are known.

        Returns:
            The observation, and info with ``seed`` and ``success`` (False).

        Raises:
            ConfigError: an option is given, or the seed is not a whole number from 0 on.
        """
        if options:
            raise ConfigError("reset takes no options", received=sorted(options))
        if seed is not None and (not isinstance(seed, int | np.integer) or seed < 0):
            raise ConfigError("seed must be a whole number, at least 0", received=seed)
        super().reset(seed=None if seed is None else int(seed))
        placement = int(self.np_random.integers(2**31)) if seed is None else int(seed)
        self._simulation.reset(placement)
        self._steps = 0
        return self.observe(), {"seed": placement, "success": False}

    def step(
        self, action: ArrayLike
    ) -> tuple[dict[str, NDArray[np.float32]], float, bool, bool, dict[str, Any]]:
        """`simulate`, then `observe`: Gymnasium's step."""
        reward, terminated, truncated, info = self.simulate(action)
        return self.observe(), reward, terminated, truncated, info

    def simulate(self, action: ArrayLike) -> tuple[float, bool, bool, dict[str, Any]]:
        """One control step without an observation.

        Args:
            action: (A,), in the action space.

        Returns:
            Reward, terminated, truncated (from step ``spec_task.horizon`` on), and info with
            ``success``, the task's own flag at this step.

        Raises:
            ActionError: the action has the wrong shape, is not finite, or leaves the space, or
                the environment was never reset.
        """
        checked = self._check_action(action)
        if self._steps is None:
            raise ActionError("an environment must be reset before its first action")
        outcome = self._simulation.step(checked)
        self._steps += 1
        truncated = self._steps >= self.spec_task.horizon
        return outcome.reward, outcome.terminated, truncated, {"success": outcome.success}

    def observe(self) -> dict[str, NDArray[np.float32]]:
        """The current state as the policy sees it.

        Raises:
            ObservationError: no point lies in the crop box.
            BackendError: no OpenGL backend works here.
        """
        return {
            "point_cloud": self._cloud(self._render_depth()),
            "agent_pos": self._simulation.agent_pos(),
        }

    def observe_full(self) -> dict[str, NDArray[Any]]:
        """`observe` and more for datasets.

        Returns:
            Also ``color`` (P, 3) uint8, the color of each point, and ``full_state`` (F,)
            float32, the simulator's own observation.
        """
        depth = self._render_depth()
        color = self._depth_camera.color(self._simulation.data).reshape(-1, 3)
        cloud = self._cloud(depth, color)  # (P, 6)
        return {
            "point_cloud": cloud[:, :3].copy(),
            "agent_pos": self._simulation.agent_pos(),
            "color": cloud[:, 3:].astype(np.uint8),
            "full_state": self._simulation.full_state().astype(np.float32),
        }

    def expert_action(self) -> NDArray[np.float32]:
        """(A,) float32, the expert's action in the current state, within the action space."""
        return self._simulation.expert_action()

    def render(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, a picture for people, right side up.

        Raises:
            ConfigError: the environment was not made with ``render_mode="rgb_array"``.
        """
        if self.render_mode != "rgb_array":
            raise ConfigError(
                "render needs render_mode='rgb_array'",
                received=self.render_mode,
                remedy="pass render_mode='rgb_array' when making the environment",
            )
        self._simulation.show_goal()
        image = self._video_camera.color(self._simulation.data)
        return np.rot90(image, 2).copy() if self._video.upside_down else image

    def close(self) -> None:
        """Frees the OpenGL contexts and the simulation."""
        self._depth_camera.close()
        self._video_camera.close()
        self._simulation.close()

    def _render_depth(self) -> NDArray[np.float32]:
        if self._steps is None:
            raise ObservationError("an environment must be reset before it is observed")
        started = time.perf_counter()
        self._simulation.show_goal()
        depth = self._depth_camera.depth(self._simulation.data)
        self.render_ms = 1e3 * (time.perf_counter() - started)
        return depth

    def _cloud(
        self, depth: NDArray[np.float32], color: NDArray[np.uint8] | None = None
    ) -> NDArray[np.float32]:
        """(P, 3), or (P, 6) with colors (H·W, 3): unproject, crop, sample."""
        started = time.perf_counter()
        camera, recipe = self._depth_camera, self.recipe
        points = to_world(
            depth_to_points(depth, camera.intrinsics()), camera.T_world_cam(self._simulation.data)
        )
        inside = crop(points, recipe.crop_min, recipe.crop_max)
        points = points[inside]
        if color is not None:
            points = np.concatenate([points, color[inside]], axis=1, dtype=np.float32)
        cloud = sample(points, recipe.points)
        self.points_ms = 1e3 * (time.perf_counter() - started)
        return cloud

    def _check_action(self, action: ArrayLike) -> NDArray[np.float32]:
        try:
            values = np.asarray(action, dtype=np.float32)
        except (TypeError, ValueError):
            raise ActionError("an action must be an array of numbers", received=action) from None
        if values.shape != self.action_space.shape:
            raise ActionError(
                f"an action of {self.spec_task.name} must have the shape {self.action_space.shape}",
                received=values.shape,
            )
        if not (np.abs(values) <= 1 + _ROUNDING).all():  # also false for NaN
            raise ActionError(
                "every entry of an action must lie in [-1, 1]",
                received=values.tolist(),
                remedy="clip the action to env.action_space",
            )
        return np.clip(values, -1.0, 1.0)

    @staticmethod
    def _place_camera(simulation: Simulation, recipe: PointCloudRecipe) -> OffscreenCamera:
        """The camera of the recipe, moved to where the recipe wants it."""
        import mujoco

        model, size = simulation.model, recipe.image_size
        camera = OffscreenCamera(model, recipe.camera, width=size, height=size)
        if model.cam_bodyid[camera.camera_id] != 0:
            raise ConfigError(
                "the camera of a point cloud must be fixed to the world, not to a moving body",
                received=recipe.camera,
            )
        model.cam_pos[camera.camera_id] = recipe.camera_position
        mujoco.mj_forward(model, simulation.data)
        return camera
