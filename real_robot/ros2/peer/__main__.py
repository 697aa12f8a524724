"""``python -m real_robot.ros2.peer SETTINGS``: the simulated robot as a process of ROS 2.

``SETTINGS`` is JSON: ``simulator``, the words that start ``envs.robot`` in the Python that has the
simulators; ``world``, what it is to simulate; ``camera``, ``depth`` or ``cloud``. Each line of
stdin is a request in JSON, with an ``id``; each line of stdout a ``reply`` to one, or an ``event``.
It ends when stdin does, and its world with it.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from mfpolicy.pipes import read_message, write_message
from real_robot.ros2.peer.driver import Driver
from real_robot.ros2.peer.operator import SERVICES, TRANSITIONS, Operator

_LEAKED = ("LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE")


class Peer:
    """The process: a world, a driver, an operator, and who tells them what to do."""

    def __init__(self, settings: Mapping[str, Any], say: Callable[[dict[str, Any]], None]) -> None:
        self._say = say
        self.ended = threading.Event()
        self.failure = ""
        env = {name: value for name, value in os.environ.items() if name not in _LEAKED}
        self._world = subprocess.Popen(
            settings["simulator"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
        )
        self._sending = threading.Lock()
        self._tell(settings["world"])
        head = self._read()
        if head is None or head[0]["say"] != "world":
            self.close()
            raise RuntimeError(head[0].get("why", "") if head else "the simulation did not start")
        self.world = head[0]
        self.driver = Driver(self.world, camera=settings["camera"], tell=self._tell)
        self.operator = Operator()

    def start(self) -> None:
        """Listens to the world and to stdin from now on."""
        for listen in (self._listen_to_world, self._listen_to_stdin):
            threading.Thread(target=listen, daemon=True).start()
        self._say({"event": "world", **self.world})

    def close(self) -> None:
        """Ends the world."""
        if self._world.stdin is not None:
            self._world.stdin.close()
        try:
            self._world.wait(3)
        except subprocess.TimeoutExpired:
            self._world.kill()
            self._world.wait()

    def _tell(self, message: Mapping[str, Any]) -> None:
        assert self._world.stdin is not None
        try:
            with self._sending:
                write_message(self._world.stdin, message)
        except (OSError, ValueError):
            self.ended.set()  # the world is gone, and its reader says so

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
            else:
                self._say({"event": head.pop("say"), **head})
        if not self.ended.is_set():
            self.failure = f"the simulation ended by itself, with {self._world.wait()}"
            self.ended.set()

    def _listen_to_stdin(self) -> None:
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = self._answer(request)
            except Exception as error:  # told to who asked
                answer = {"error": f"{type(error).__name__}: {error}"}
            self._say({"reply": request["id"], **answer})
        self.ended.set()

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
    while not peer.ended.is_set():
        executor.spin_once(timeout_sec=0.1)
    peer.close()
    if peer.failure:
        say({"event": "failed", "why": peer.failure})
    out.flush()
    os._exit(1 if peer.failure else 0)  # past threads that wait for stdin


if __name__ == "__main__":
    raise SystemExit(main())
