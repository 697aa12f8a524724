"""`SimulatedRobot`: the process of the simulated robot, and what it can be asked."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mfpolicy.errors import RunError
from mfpolicy.options import check_choice
from real_robot.simulated.asking import END_S, Asked
from real_robot.simulated.environments import LoopPlace

CAMERAS = ("depth", "cloud")
CLOCKS = ("simulated", "system")
_START_S = 180.0  # of a simulator on a busy machine, the first time


class SimulatedRobot:
    """A task in MuJoCo, behind the topics of a robot, and the operator of its controller.

    Args:
        place: of the loop.
        python: with ROS.
        task: ``suite/task``.
        steps_hz: control steps per second of wall time.
        clock: ``simulated``: ``/clock`` and stamps of the simulation's time, for a controller with
            ``use_sim_time``; ``system``: stamps of the computer's.
        camera: ``depth`` images or ``cloud``.
        recipe: of the policy's clouds, whose camera it is; None takes the suite's.
        color: whether the camera sees colors.
        horizon: control steps of an episode; None takes the suite's.

    Attributes:
        world: what the simulation said of itself: task, rate, camera, robot.

    Raises:
        ConfigError: there is no such camera or clock.
        RunError: it did not start.

    Example, with a server of a policy at ``url``::

        place = LoopPlace(folder, domain_id=42)
        with SimulatedRobot(place, ros_python("kilted"), "metaworld/reach", steps_hz=10) as robot:
            told = bridge_parameters(robot.world, camera="depth", server=url, steps_hz=10)
            with Bridge(place, ros_python("jazzy"), told):
                robot.change("configure"), robot.change("activate")
                robot.begin(seed=0), robot.arm()
                robot.fault("camera_stall"), robot.mark()
                time.sleep(5)
                robot.report()["commands"], robot.diagnostics()["message"]
    """

    def __init__(
        self,
        place: LoopPlace,
        python: Path,
        task: str,
        *,
        steps_hz: float,
        clock: str = "simulated",
        camera: str = "depth",
        recipe: Mapping[str, Any] | None = None,
        color: bool = False,
        horizon: int | None = None,
    ) -> None:
        check_choice("camera", camera, CAMERAS)
        check_choice("clock", clock, CLOCKS)
        self._place = place
        settings = {
            "simulator": [sys.executable, "-m", "envs.robot"],
            "camera": camera,
            "world": {
                "task": task,
                "recipe": None if recipe is None else dict(recipe),
                "color": color,
                "horizon": horizon,
                "clock": clock,
                "steps_hz": steps_hz,
            },
        }
        process = place.start(
            "robot",
            [str(python), "-m", "real_robot.ros2.peer", json.dumps(settings)],
            answers=True,
        )
        self._asked = Asked(place, "robot", process)
        try:
            self.world = self._asked.wait("world", _START_S)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> SimulatedRobot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def process(self) -> subprocess.Popen[str]:
        """The process of its driver; that of the world is its child."""
        return self._asked.process

    # The world.

    def begin(self, seed: int) -> None:
        """Places everything by ``seed``, and lets the next command begin the episode."""
        self._asked.forget()
        self._tell_world("reset", seed=seed)
        self._asked.wait("reset", END_S)
        self.call("mark")
        self._tell_world("listen")

    def ended(self, timeout_s: float) -> dict[str, Any]:
        """The result of the episode, when it ends, as of :class:`mfpolicy.types.EpisodeResult`.

        Raises:
            RunError: it did not end in time.
        """
        return self._asked.wait("ended", timeout_s)["result"]

    def trace(self) -> dict[str, Any]:
        """``actions`` of each step of the episode so far, and its ``result``."""
        self._tell_world("trace")
        return self._asked.wait("trace", END_S)

    # The driver.

    def fault(self, name: str) -> None:
        """Lets one of :data:`real_robot.ros2.peer.faults.FAULTS` begin; an empty name ends it."""
        self.call("fault", name=name)

    def mark(self) -> None:
        """Counts commands from now on."""
        self.call("mark")

    def report(self) -> dict[str, Any]:
        """What came since `mark`; see :meth:`real_robot.ros2.peer.driver.Driver.report`."""
        return self.call("report")

    # The operator.

    def change(self, transition: str, timeout_s: float = 60.0) -> None:
        """Asks the controller for a transition: configure, activate, deactivate or cleanup.

        Raises:
            RunError: it refused, or is not there.
        """
        if not self.call(transition, timeout_s=timeout_s)["ok"]:
            raise RunError(
                f"the controller must be able to {transition}",
                received=self._place.last_words("bridge"),
                remedy=f"see {self._place.log('bridge')}",
            )

    def serve(self, name: str, timeout_s: float = 60.0) -> tuple[bool, str]:
        """Calls a service of the controller: arm, disarm, stop or reset."""
        answer = self.call(name, timeout_s=timeout_s)
        return answer["ok"], answer["message"]

    def arm(self, timeout_s: float = 30.0) -> None:
        """Arms the controller, as soon as its inputs are fresh.

        Raises:
            RunError: they never were.
        """
        until_s = time.monotonic() + timeout_s
        while True:
            ok, message = self.serve("arm")
            if ok:
                return
            if time.monotonic() > until_s:
                raise RunError("the controller must let itself be armed", received=message)
            time.sleep(0.05)

    def diagnostics(self) -> dict[str, Any]:
        """The last diagnostics of the controller: ``level``, ``message``, ``values``."""
        return self.call("diagnostics")["diagnostics"]

    # The process.

    def call(self, what: str, *, timeout_s: float = 60.0, **fields: Any) -> dict[str, Any]:
        """Asks the process for something; see :mod:`real_robot.ros2.peer.__main__`.

        Raises:
            RunError: it could not do it, or is gone.
        """
        return self._asked.call(what, timeout_s=timeout_s, **fields)

    def close(self) -> None:
        """Ends the process and its world."""
        self._asked.close()

    def _tell_world(self, what: str, **fields: Any) -> None:
        self.call("world", message={"do": what, **fields})
