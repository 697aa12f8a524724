"""`PointCloudEnv`: a Gymnasium environment that shows a task as point clouds, to any suite."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import ArrayLike, NDArray

from envs.action import checked_action
from envs.camera import OffscreenCamera
from envs.cloud_camera import CloudCamera
from envs.gl import require_opengl
from envs.perturbations.base import Perturbation
from envs.simulation import Expert, Restorable, Simulation
from envs.suites import VideoView
from mfpolicy.errors import ActionError, ConfigError, ObservationError
from mfpolicy.pointcloud import PointCloudRecipe
from mfpolicy.types import TaskSpec


class PointCloudEnv(gymnasium.Env[dict[str, NDArray[np.float32]], NDArray[np.float32]]):
    """One task seen by one depth camera, or by several.

    Observations have ``point_cloud`` (P, 3) float32, world frame, metres, and ``agent_pos``
    (S,) float32. With ``color`` the cloud is (P, 6), red, green and blue from 0 to 255.
    Actions are (A,) float32 in [-1, 1]. A cloud is rendered by `reset`, `step` and `observe`, not
    by `simulate`: use that for the steps the policy does not see.

    Args:
        simulation: the physics of the task.
        spec_task: the task; its horizon is the number of control steps before truncation.
        recipe: how the point cloud is made.
        video: the view of `render`.
        color: whether observed points have colors.
        render_mode: ``rgb_array`` where `render` is wanted.
        perturbation: changes what is seen, or the task; None changes nothing.

    Raises:
        ConfigError: the scene has no camera of the recipe's name, the render mode is unknown, or
            the task cannot be perturbed so.
        BackendError: pictures are wanted and there is no OpenGL.

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
        color: bool = False,
        render_mode: str | None = None,
        perturbation: Perturbation | None = None,
    ) -> None:
        fps = round(spec_task.control_rate_hz)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": fps}
        if render_mode not in (None, "rgb_array"):
            raise ConfigError("render_mode must be rgb_array or None", received=render_mode)
        self.render_mode = render_mode
        self.spec_task = spec_task
        self.recipe = recipe
        self.color = color
        self._simulation = simulation
        self._video = video
        self._expert: Expert | None = None  # in place of the task's own
        self._steps: int | None = None  # of this episode; None before the first reset
        self._closed = False
        self._perturbation = perturbation
        if perturbation is not None:
            perturbation.prepare(simulation)
        self._cloud_camera = CloudCamera(simulation.model, simulation.data, recipe, perturbation)
        if render_mode is not None:
            require_opengl()
        self._video_camera = OffscreenCamera(
            simulation.model, video.camera, width=video.size, height=video.size, antialias=True
        )
        self.observation_space: Any = Dict(
            {
                "point_cloud": _cloud_space(recipe, color=color),
                "agent_pos": Box(-np.inf, np.inf, (spec_task.state_dim,), np.float32),
            }
        )
        self.action_space = Box(-1.0, 1.0, (spec_task.action_dim,), np.float32)

    @property
    def camera(self) -> dict[str, Any]:
        """The depth camera as JSON-able values.

        ``intrinsics`` (3, 3) in pixels; ``T_world_cam`` (4, 4), camera frame x right, y down,
        z forward; ``image_size`` in pixels; where there are several, ``further_cameras``, the
        same of each.
        """
        return self._cloud_camera.describe()

    @property
    def renderer(self) -> str:
        """What renders the clouds: ``egl``, ``osmesa``, ``glfw``, or ``raycast`` without OpenGL."""
        return self._cloud_camera.renderer

    @property
    def perturbation(self) -> dict[str, Any] | None:
        """What is changed, name and options; None where nothing is."""
        return None if self._perturbation is None else self._perturbation.to_dict()

    @property
    def points_ms(self) -> float:
        """Milliseconds from depth image to point cloud in the last observation."""
        return self._cloud_camera.points_ms

    @property
    def render_ms(self) -> float:
        """Milliseconds of rendering in the last observation."""
        return self._cloud_camera.render_ms

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
            ObservationError: the environment was closed.
        """
        self._require_open()
        if options:
            raise ConfigError("reset takes no options", received=sorted(options))
        if seed is not None and (not isinstance(seed, int | np.integer) or seed < 0):
            raise ConfigError("seed must be a whole number, at least 0", received=seed)
        super().reset(seed=None if seed is None else int(seed))
        placement = int(self.np_random.integers(2**31)) if seed is None else int(seed)
        if self._perturbation is not None:
            self._perturbation.begin(placement)
            offset_m, believed = self._perturbation.camera_offset_m(), self._perturbation.believed
            self._cloud_camera.move(offset_m, believed=believed)
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
            ``success``, the task's own flag at this step, and ``flags`` where it names more.

        Raises:
            ActionError: the action has the wrong shape, is not finite, or leaves the space, or
                the environment was never reset, or was closed.
        """
        checked = checked_action(action, self.spec_task)
        if self._steps is None:
            raise ActionError("an environment must be reset before its first action")
        outcome = self._simulation.step(checked)
        self._steps += 1
        truncated = self._steps >= self.spec_task.horizon
        info: dict[str, Any] = {"success": outcome.success}
        if outcome.flags:
            info["flags"] = dict(outcome.flags)
        return outcome.reward, outcome.terminated, truncated, info

    def observe(self) -> dict[str, NDArray[np.float32]]:
        """The current state as the policy sees it.

        Raises:
            ObservationError: no point lies in the crop box, or the environment was closed.
            BackendError: the backend does not start.
        """
        self._show()
        if self.color:
            cloud = np.concatenate(self._cloud_camera.colored_cloud(), axis=1, dtype=np.float32)
        else:
            cloud = self._cloud_camera.cloud()
        return {
            "point_cloud": cloud,
            "agent_pos": self._simulation.agent_pos(),
        }

    def observe_full(self, *, images: bool = False) -> dict[str, NDArray[Any]]:
        """`observe` and more for datasets.

        Args:
            images: also return what the cloud was made of.

        Returns:
            ``point_cloud`` (P, 3), also ``color`` (P, 3) uint8, the color of each point, and
            ``full_state`` (F,) float32, the simulator's own observation; with ``images`` also
            ``depth`` (H, W) float32, metres, and ``image`` (H, W, 3) uint8 of the cloud's camera.

        Raises:
            ConfigError: images are wanted of several cameras.
        """
        self._show()
        more: dict[str, NDArray[Any]] = {}
        if images:
            points, colors, depth, image = self._cloud_camera.colored_cloud_and_images()
            more = {"depth": depth, "image": image}
        else:
            points, colors = self._cloud_camera.colored_cloud()
        return {
            "point_cloud": points,
            "agent_pos": self._simulation.agent_pos(),
            "color": colors,
            "full_state": self._simulation.full_state().astype(np.float32),
            **more,
        }

    def images(self) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
        """What the depth camera gives, before a cloud is made of it.

        Returns:
            Depth (H, W) in metres, and colors (H, W, 3), None unless observed points have colors.

        Raises:
            ConfigError: there are several cameras.
        """
        self._show()
        return self._cloud_camera.images(color=self.color)

    @property
    def simulation(self) -> Simulation:
        """The physics of the task."""
        return self._simulation

    def expert_action(self) -> NDArray[np.float32]:
        """(A,) float32, the expert's action in the current state, within the action space."""
        if self._expert is not None:
            return self._expert.action(self._simulation.full_state())
        return self._simulation.expert_action()

    def use_expert(self, expert: Expert, name: str) -> None:
        """Lets ``expert`` demonstrate in place of the task's own.

        Args:
            expert: anything with an action for the simulator's own observation.
            name: recorded in `spec_task` and so in datasets.

        Raises:
            ConfigError: it takes other observations or gives other actions than the task has.
        """
        sizes = (self._simulation.full_state().size, self.spec_task.action_dim)
        if expert.sizes != sizes:
            raise ConfigError(
                f"an expert of {self.spec_task.name} must take {sizes[0]} observations and give "
                f"{sizes[1]} actions",
                received=expert.sizes,
                remedy="choose the task that this expert was trained for",
            )
        self._expert = expert
        self.spec_task = dataclasses.replace(self.spec_task, expert=name)

    def restore(self, state: Mapping[str, NDArray[np.float64]]) -> None:
        """Starts an episode in a stored state of the simulator, in place of `reset`.

        Args:
            state: arrays by name, as the suite's simulator has them; its ``restore`` says which.

        Raises:
            ConfigError: the suite cannot restore states, or this is no state of the task.
        """
        if not isinstance(self._simulation, Restorable):
            raise ConfigError(
                "a suite must be able to restore states for recordings to be replayed",
                received=self.spec_task.suite,
                remedy="choose a task of a suite that can, for example adroit/door",
            )
        self._simulation.restore(state)
        self._steps = 0

    def render(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, a picture for people, right side up.

        Raises:
            ConfigError: the environment was not made with ``render_mode="rgb_array"``.
            ObservationError: the environment was closed or never reset.
        """
        if self.render_mode != "rgb_array":
            raise ConfigError(
                "render needs render_mode='rgb_array'",
                received=self.render_mode,
                remedy="pass render_mode='rgb_array' when making the environment",
            )
        self._show()
        image = self._video_camera.color(self._simulation.data)
        return np.rot90(image, 2).copy() if self._video.upside_down else image

    def close(self) -> None:
        """Frees the OpenGL contexts and the simulation, for good; a second call does nothing."""
        if self._closed:
            return
        self._closed, self._steps = True, None
        self._cloud_camera.close()
        self._video_camera.close()
        self._simulation.close()

    def _require_open(self) -> None:
        if self._closed:
            raise ObservationError("an environment must not be used after it was closed")

    def _show(self) -> None:
        self._require_open()
        if self._steps is None:
            raise ObservationError("an environment must be reset before it is observed")
        self._simulation.show_goal()
        if self._perturbation is not None:
            self._perturbation.at(self._steps)


def _cloud_space(recipe: PointCloudRecipe, *, color: bool) -> Box:
    low, high = (list(corner) for corner in (recipe.crop_min, recipe.crop_max))
    if color:
        low, high = [*low, 0, 0, 0], [*high, 255, 255, 255]
    rows = (recipe.points, 1)
    return Box(
        np.tile(np.array(low, np.float32), rows),
        np.tile(np.array(high, np.float32), rows),
        dtype=np.float32,
    )
