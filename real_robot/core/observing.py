"""`Observer`: what camera and robot say → frames as a policy sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfpolicy.errors import ConfigError, ObservationError
from real_robot.causes import Cause, Refusals
from real_robot.core.facts import PolicyFacts
from real_robot.core.perception import CloudView, DepthView, Perception
from real_robot.core.proprioception import Proprioception
from real_robot.parameters import ANY_FRAME, RobotParameters
from real_robot.safety.freshness import Freshness

Vector = NDArray[np.float64]
_Unread = tuple[CloudView | DepthView, Vector | None, float, float]
"""A view, the pose of its camera, its stamp and its receipt."""


@dataclass(frozen=True, eq=False)
class Frame:
    """What a policy sees of one moment.

    Attributes:
        points: (P, C), world frame, metres; colors from 0 to 255.
        state: (S,), the one nearest in time. stamp_s: of the cloud.
    """

    points: NDArray[np.float32]
    state: NDArray[np.float32]
    stamp_s: float


class Observer:
    """Takes messages as they come, and gives frames by a policy's own recipe.

    A controller and a recorder are both observers, so a policy is trained on the numbers that it
    is given later. All times are seconds of one clock, the one that stamps the messages; all calls
    come from one thread.

    Args:
        parameters: of this robot.
        facts: of the policy, or of those that will be trained on what is recorded.
        refusals: counts what is thrown away.
        inputs: how fresh ``cloud``, ``joints`` and, where it is needed, ``tool`` are.

    Attributes:
        parameters, facts, refusals, inputs: these. perception: reads what the camera sees.

    Raises:
        ConfigError: the state has another number of elements.
    """

    def __init__(
        self,
        parameters: RobotParameters,
        facts: PolicyFacts,
        *,
        refusals: Refusals,
        inputs: Mapping[str, Freshness],
    ) -> None:
        if len(parameters.state_elements) != facts.state_dim:
            raise ConfigError(
                f"state must name the {facts.state_dim} numbers of the policy's state",
                received=parameters.state_elements,
            )
        self.parameters, self.facts = parameters, facts
        self.refusals, self.inputs = refusals, inputs
        self.perception = Perception(facts, parameters)
        self._proprioception = Proprioception(parameters)
        Observer.forget(self)

    def on_cloud(
        self,
        message: Any,
        *,
        frame_id: str,
        stamp_s: float,
        now_s: float,
        T_world_cam: Vector | None = None,
    ) -> None:
        """Takes a PointCloud2; the newest one is read when it is looked at.

        ``T_world_cam`` (4, 4) is the pose of its camera; None takes that of the parameters.
        """
        view = CloudView(message)
        self.on_view(view, frame_id=frame_id, stamp_s=stamp_s, now_s=now_s, T_world_cam=T_world_cam)

    def on_depth(
        self,
        image: Any,
        info: Any,
        *,
        frame_id: str,
        stamp_s: float,
        now_s: float,
        color: Any = None,
        T_world_cam: Vector | None = None,
    ) -> None:
        """Takes a depth Image, its CameraInfo, and a color Image aligned with it, or None.

        ``T_world_cam`` is that of `on_cloud`.
        """
        view = DepthView(image, info, color)
        self.on_view(view, frame_id=frame_id, stamp_s=stamp_s, now_s=now_s, T_world_cam=T_world_cam)

    def on_view(
        self,
        view: CloudView | DepthView,
        *,
        frame_id: str,
        stamp_s: float,
        now_s: float,
        T_world_cam: Vector | None = None,
    ) -> None:
        """Takes a view, as `on_cloud` and `on_depth` do."""
        self.came("cloud", now_s)
        wanted = self.parameters.cloud_frame
        if wanted not in (ANY_FRAME, frame_id):
            self.refusals.add(Cause.WRONG_FRAME, f"{frame_id[:80]!r}, not {wanted!r}")
            return
        self._unread = view, T_world_cam, stamp_s, now_s

    def on_joints(self, message: Any, *, stamp_s: float, now_s: float) -> None:
        """Takes a JointState; it may hold some of the joints."""
        self.came("joints", now_s)
        try:
            times = self._proprioception.joints(message, stamp_s, now_s)
        except (ObservationError, TypeError, ValueError, OverflowError) as error:
            self.refusals.add(Cause.BAD_JOINTS, str(error))
            return
        if times is not None:
            self.inputs["joints"].saw(stamp_s=times[0], received_s=times[1])
        self._measure()

    def on_tool(self, position: ArrayLike, *, stamp_s: float, now_s: float) -> None:
        """Takes the tool's measured position (3,), world frame, metres."""
        if "tool" in self.inputs:
            self.came("tool", now_s)
        try:
            self._proprioception.tool(position, stamp_s)
        except (ObservationError, TypeError, ValueError) as error:
            self.refusals.add(Cause.BAD_TOOL, str(error))
            return
        if "tool" in self.inputs:
            self.inputs["tool"].saw(stamp_s=stamp_s, received_s=now_s)
        self._measure()

    def came(self, name: str, now_s: float, stream: str = "") -> None:
        """A message of an input came, whatever is in it; all that the calls above take is counted.

        Args:
            name: of the input: ``cloud``, ``joints`` or ``tool``.
            now_s: when it was received.
            stream: its topic, where the input has several, as a depth camera has.
        """
        self.inputs[name].came(now_s, stream)

    def look(self) -> None:
        """Reads the newest view; one that cannot be used leaves the one before in its place."""
        if self._unread is None:
            return
        (view, T_world_cam, stamp_s, received_s), self._unread = self._unread, None
        try:
            points = self.perception.seen(view, T_world_cam)
        except (ObservationError, AttributeError, TypeError, ValueError, OverflowError) as error:
            self.refusals.add(Cause.BAD_CLOUD, str(error))
            return
        if len(points) < self.parameters.min_points:
            self.refusals.add(Cause.TOO_FEW_POINTS, f"{len(points)} inside the box")
            return
        self._points, self._points_stamp_s, self._is_sampled = points, stamp_s, False
        self.inputs["cloud"].saw(stamp_s=stamp_s, received_s=received_s)

    def frame(self) -> Frame | None:
        """The newest cloud that was looked at with the state nearest to it; None without one."""
        state = self._proprioception.state(self._points_stamp_s)
        if state is None or self._points is None:
            return None
        if not self._is_sampled:
            self._points, self._is_sampled = self.perception.sampled(self._points), True
        return Frame(self._points, state, self._points_stamp_s)

    def forget(self) -> None:
        """Nothing has been observed."""
        self._unread: _Unread | None = None
        self._points: NDArray[np.float32] | None = None
        self._points_stamp_s, self._is_sampled = float("nan"), False
        self._proprioception.forget()

    def _on_measured(self, position: Vector, velocity: Vector) -> None:
        """Position and velocity (D,) of the commanded axes were measured anew."""

    def _measure(self) -> None:
        measured = self._proprioception.measured()
        if measured is not None:
            self._on_measured(*measured)
