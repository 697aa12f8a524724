"""A closed loop that can be made to fail, and the faults that it is tried with."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ros.swinging import Served, Swinging
from mfpolicy.errors import RunError
from real_robot.causes import counts_in
from real_robot.simulated import Bridge, LoopPlace, SimulatedRobot, bridge_parameters, ros_python

TASK, RATE_HZ = "metaworld/reach", 10.0
LIMITS = {
    "cloud_timeout_s": 0.8, "joints_timeout_s": 0.8, "tool_timeout_s": 0.8,
    "cloud_max_age_s": 0.8, "joints_max_age_s": 0.8, "tool_max_age_s": 0.8,
    "policy_timeout_s": 1.0, "disarm_after_s": 60.0,
}  # fmt: skip
RATES = {"cloud_max_hz": 30.0, "joints_max_hz": 30.0, "tool_max_hz": 30.0}
"""3 times what the sensors send."""

_CLOCK_JUMP_S = 1.0
_SIMULATED = 8.0  # times slower than the wall clock: 80 steps a second of its time, 10 of ours


class Loop:
    """A robot, its bridge and a policy, and how to make them fail."""

    def __init__(self, folder: Path, bridge: str, robot: str, *, clock: str, domain: int) -> None:
        self.is_simulated = clock == "simulated"
        rate = RATE_HZ * (_SIMULATED if self.is_simulated else 1)
        self.policy = Swinging(TASK, rate)
        self._stack = ExitStack()
        self.server = self._stack.enter_context(Served(self.policy))
        self._place, self._python = LoopPlace(folder, domain), ros_python(bridge)
        self.robot = self._stack.enter_context(
            SimulatedRobot(
                self._place, ros_python(robot), TASK, steps_hz=RATE_HZ, clock=clock, horizon=10**6
            )
        )
        told = bridge_parameters(self.robot.world, camera="depth", server=self.server.url)
        slower = _SIMULATED if self.is_simulated else 1
        self._told = {
            **told,
            **{name: value / slower for name, value in LIMITS.items()},
            **{name: value * slower for name, value in RATES.items()},
            "clock_jump_s": _CLOCK_JUMP_S,
        }
        self.start()
        self.robot.begin(seed=0)

    def __enter__(self) -> Loop:
        return self

    def __exit__(self, *_: object) -> None:
        self.bridge.close()
        self._stack.close()

    def start(self) -> None:
        """Starts the bridge, up to active."""
        self.bridge = Bridge(self._place, self._python, self._told)
        for transition in ("configure", "activate"):
            self._changed(transition)

    def _changed(self, transition: str) -> None:
        """Asks until it is answered: a killed node seems to be there for a while."""
        until_s = time.monotonic() + 90
        while True:
            try:
                return self.robot.change(transition, timeout_s=8)
            except RunError:
                if time.monotonic() > until_s:
                    raise

    def move(self, seconds: float = 60.0) -> float:
        """Waits until commands come; says how long that took."""
        begun_s = time.monotonic()
        while time.monotonic() < begun_s + seconds:
            self.robot.mark()
            time.sleep(1.0)
            if self.robot.report()["commands"] >= RATE_HZ / 2:
                return time.monotonic() - begun_s
        raise RunError("the robot must move", received=self.robot.diagnostics())

    def refusals(self) -> dict[str, int]:
        """Counted so far, by cause."""
        return counts_in(self.robot.diagnostics().get("values", {}))


@dataclass(frozen=True)
class Fault:
    """A fault and what is expected of it.

    Attributes:
        name: of the fault. begin, end: let it begin and end. cause: that must be counted, or how
            its name begins.
        says: what the whole line of the diagnostics must match, a regular expression; empty where
            there are no diagnostics.
        resumes: ``itself`` or ``arm``.
        has_bridge: whether there is a bridge while it lasts. clock: of the loop.
    """

    name: str
    begin: Callable[[Loop], Any]
    end: Callable[[Loop], Any]
    cause: str = ""
    says: str = ""
    resumes: str = "itself"
    has_bridge: bool = True
    clock: str = "system"


REFUSING, DISARMED = "armed, refusing: ", "disarmed: "


def _sensor(name: str, cause: str, **more: Any) -> Fault:
    """A fault of the sensors; ``refusing`` is the cause that the diagnostics then name."""
    fault, back = more.pop("fault", name), more.pop("back", "")
    says = more.pop("says", None) or REFUSING + more.pop("refusing")
    return Fault(
        name, lambda loop: loop.robot.fault(fault), lambda loop: loop.robot.fault(back),
        cause, says, **more,
    )  # fmt: skip


def _policy(name: str, value: Any, without: Any, cause: str) -> Fault:
    field = "delay_s" if name == "policy too slow" else "is_nan"
    return Fault(
        name, lambda loop: setattr(loop.policy, field, value),
        lambda loop: setattr(loop.policy, field, without), cause,
        f"{REFUSING}policy_(overrun|error)",
    )  # fmt: skip


FAULTS = (
    _sensor("camera stall", "stale_cloud", refusing="stale_cloud", fault="camera_stall"),
    _sensor("joint stall", "stale_joints", refusing="stale_joints", fault="joints_stall"),
    _sensor("tool stall", "stale_tool", refusing="stale_tool", fault="tool_stall"),
    _sensor("NaN cloud", "too_few_points", refusing="stale_cloud", fault="nan_cloud"),
    _sensor("garbage fields", "bad_cloud", refusing="stale_cloud", fault="garbage"),
    _sensor("wrong frame id", "wrong_frame", refusing="stale_cloud", fault="wrong_frame"),
    _sensor(
        "stamps 10 s ahead", "future_cloud", refusing="future_cloud",
        fault="clock_jump", back="clock_back",
    ),
    _sensor(
        "stamps 10 s behind", "old_cloud", refusing="old_cloud",
        fault="clock_back", back="clock_jump",
    ),
    _policy("policy too slow", 3.0, 0.0, "policy_overrun"),
    _policy("policy of NaN", True, False, "policy_error"),  # the server refuses to send it
    _sensor(
        "message flood", "flood_", says=f"{DISARMED}flood_(cloud|joints|tool)", fault="flood",
        resumes="arm",
    ),
    Fault(
        "emergency stop", lambda loop: loop.robot.serve("stop"),
        lambda loop: loop.robot.serve("reset"), "emergency_stop", "stopped: service ~/stop",
        resumes="arm",
    ),
    Fault(
        "node restart", lambda loop: (loop.bridge.close(), loop.start()), lambda loop: None,
        "disarmed", "disarmed", resumes="arm",
    ),
    Fault(
        "kill -9 of the bridge",
        lambda loop: (loop.bridge.process.kill(), loop.bridge.process.wait()),
        lambda loop: loop.start(), resumes="arm", has_bridge=False,
    ),
    *(
        _sensor(
            name, "clock", says=f"{DISARMED}clock", fault=name.replace(" ", "_"), resumes="arm",
            clock="simulated",
        )
        for name in ("clock jump", "clock back", "clock stop")
    ),
)  # fmt: skip
