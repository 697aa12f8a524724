"""``python -m real_robot.ros2.peer SETTINGS``: the simulated robot as a process of ROS 2.

``SETTINGS`` is JSON: ``simulator``, the words that start ``envs.robot`` in the Python that has the
simulators; ``world``, what it is to simulate; ``camera``, ``depth`` or ``cloud``. Each line of
stdin is a request in JSON, with an ``id``; each line of stdout a ``reply`` to one, or an ``event``.
It ends when stdin does, and its world with it.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from mfpolicy.pipes import read_message, write_message
from real_robot.ros2.peer.driver import Driver
from real_robot.ros2.peer.operator import SERVICES, TRANSITIONS, Operator
from real_robot.simulated.environments import without_ros

_END_S = 3.0


class Peer:
    """The process: a world, a driver, an operator, and who tells them what to do.

    Attributes:
        ended: set when it is over. failure: why it ended by itself; empty where it was told to.

    Raises:
        RuntimeError: the world did not begin.
    """

    def __init__(self, settings: Mapping[str, Any], say: Callable[[dict[str, Any]], None]) -> None:
        self._say = say
        self.ended = threading.Event()
        self.failure = ""
        self._world = subprocess.Popen(
            settings["simulator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=without_ros(os.environ),
        )
        self._sending, self._failing = threading.Lock(), threading.Lock()
        self._tell(settings["world"])
        try:
            self.world = self._begun()
        except Exception:
            self.close()
            raise
        self.driver = Driver(self.world, camera=settings["camera"], tell=self._tell)
        self.operator = Operator()

    def _begun(self) -> dict[str, Any]:
        """What the world says of itself, first of all."""
        first = self._read()
        if first is None:
            raise RuntimeError(f"the simulation did not start: it ended with {self._code()}")
        if first[0]["say"] != "world":
            raise RuntimeError(str(first[0].get("why", "the simulation did not start")))
        return first[0]

    def start(self) -> None:
        """Listens to the world and to stdin from now on."""
        self._say({"event": "world", **self.world})
        for listen in (self._listen_to_world, self._listen_to_stdin):
            threading.Thread(target=self._to_its_end, args=(listen,), daemon=True).start()

    def fail(self, why: str) -> None:
        """Ends it, unless it ends already."""
        with self._failing:
            if not self.ended.is_set():
                self.failure = why
                self.ended.set()

    def close(self) -> None:
        """Ends the world."""
        if self._world.stdin is not None:
            with contextlib.suppress(OSError):  # of what it was not told any more
                self._world.stdin.close()
        try:
            self._world.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._world.kill()
            self._world.wait()

    def _to_its_end(self, listen: Callable[[], None]) -> None:
        """A thread that listens: however it ends, nobody waits for it any more."""
        try:
            listen()
        except Exception as error:
            traceback.print_exc()
            self.fail(f"{type(error).__name__}: {error}")
        self.ended.set()

    def _tell(self, message: Mapping[str, Any]) -> None:
        assert self._world.stdin is not None
        try:
            with self._sending:
                write_message(self._world.stdin, message)
        except (OSError, ValueError):  # it is gone, or it is being ended
            self.fail(f"the simulation ended by itself, with {self._code()}")

    def _code(self) -> int | None:
        """What the world ended with; None where it only closed its pipes."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._world.wait(_END_S)
        return None

    def _read(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        assert self._world.stdout is not None
        return read_message(self._world.stdout)

    def _listen_to_world(self) -> None:
        while (message := self._read()) is not None:
            head, arrays = message
            if head["say"] == "frame":
                self.driver.on_frame(head, arrays)
            elif head["say"] == "clock":
                self.driver.on_clock(head["ns"])
            elif head["say"] == "failed":
                return self.fail(f"the simulation failed: {head.get('why')}")
            else:
                self._say({"event": head.pop("say"), **head})
        self.fail(f"the simulation ended by itself, with {self._code()}")

    def _listen_to_stdin(self) -> None:
        for line in sys.stdin:
            request = json.loads(line)
            number = request["id"]
            try:
                answer = self._answer(request)
            except Exception as error:  # told to who asked
                answer = {"error": f"{type(error).__name__}: {error}"}
            self._say({"reply": number, **answer})

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        what, timeout_s = request["do"], float(request.get("timeout_s", 60))
        if what in SERVICES:
            return self.operator.serve(what, timeout_s)
        if what in TRANSITIONS:
            return self.operator.change(what, timeout_s)
        if what == "fault":
            self.driver.fault.become(request["name"])
        elif what == "mark":
            self.driver.mark()
        elif what == "report":
            return self.driver.report()
        elif what == "diagnostics":
            return {"diagnostics": self.operator.diagnostics}
        elif what == "world":
            self._tell(request["message"])
        else:
            raise ValueError(f"nobody knows how to {what!r}")
        return {}


def main() -> int:
    """Runs the robot until stdin ends, or SIGINT or SIGTERM comes."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not be in the way
    writing = threading.Lock()

    def say(message: dict[str, Any]) -> None:
        with writing:
            out.write(json.dumps(message) + "\n")

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        peer = Peer(json.loads(sys.argv[1]), say)
    except Exception as error:
        say({"event": "failed", "why": str(error)})
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: peer.ended.set())
    executor = SingleThreadedExecutor()
    executor.add_node(peer.driver)
    executor.add_node(peer.operator)
    peer.start()
    try:
        while not peer.ended.is_set():
            executor.spin_once(timeout_sec=0.1)
    except Exception as error:
        traceback.print_exc()
        peer.fail(f"{type(error).__name__}: {error}")
    peer.close()
    with contextlib.suppress(OSError):  # nobody reads it any more
        if peer.failure:
            say({"event": "failed", "why": peer.failure})
        out.flush()
    os._exit(1 if peer.failure else 0)  # past threads that wait for stdin


if __name__ == "__main__":
    raise SystemExit(main())
