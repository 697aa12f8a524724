"""`Asked`: a process that is asked by lines of JSON, and answers by others."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
import time
from typing import Any

from mfpolicy.errors import RunError
from real_robot.simulated.environments import LoopPlace

END_S = 10.0


class Asked:
    """Requests to a process of a loop, its replies in order, and its events as they come.

    Args:
        place: of the loop, with the process's log.
        name: of the process, as `LoopPlace.start` was told.
        process: with pipes for stdin and stdout.
    """

    def __init__(self, place: LoopPlace, name: str, process: subprocess.Popen[str]) -> None:
        self._place, self._name, self.process = place, name, process
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._replies: queue.Queue[dict[str, Any]] = queue.Queue()
        self._number = 0
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def call(self, what: str, *, timeout_s: float = 60.0, **fields: Any) -> dict[str, Any]:
        """Asks the process for something.

        Raises:
            RunError: it could not do it, or is gone.
        """
        self._number += 1
        assert self.process.stdin is not None
        line = json.dumps({"id": self._number, "do": what, "timeout_s": timeout_s, **fields})
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except (OSError, ValueError) as error:
            raise self._gone(str(error)) from error
        answer = self._next(self._replies, timeout_s + END_S, what)
        while answer["reply"] != self._number:  # of one that was given up
            answer = self._next(self._replies, timeout_s + END_S, what)
        if "error" in answer:
            raise RunError(f"the process {self._name} could not {what}", received=answer["error"])
        return answer

    def wait(self, event: str, timeout_s: float) -> dict[str, Any]:
        """The next event of a name; those before it are dropped.

        Raises:
            RunError: it did not come in time, or the process is gone.
        """
        until_s = time.monotonic() + timeout_s
        while True:
            found = self._next(self._events, until_s - time.monotonic(), event)
            if found["event"] == event:
                return found

    def forget(self) -> None:
        """Drops the events that came."""
        while not self._events.empty():
            found = self._events.get()
            if found["event"] == "failed":
                self._events.put(found)
                raise self._gone(found["why"])

    def close(self) -> None:
        """Ends the process."""
        end(self.process)
        self._reader.join(END_S)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _next(self, source: queue.Queue[dict[str, Any]], timeout_s: float, what: str) -> Any:
        try:
            found = source.get(timeout=max(timeout_s, 0.0))
        except queue.Empty:
            raise RunError(
                f"the process {self._name} must answer in time: {what}",
                received=f"nothing in {timeout_s:.0f} s",
                remedy="a smaller realtime_factor leaves a slow machine more time",
            ) from None
        if found.get("event") == "failed":
            source.put(found)  # for who asks again
            raise self._gone(found["why"])
        return found

    def _gone(self, why: str) -> RunError:
        log = self._place.log(self._name)
        return RunError(
            f"the process {self._name} must keep running",
            received=why,
            remedy=f"see {log}:\n{self._place.last_words(self._name)}",
        )

    def _listen(self) -> None:
        """Sorts what the process says; of its end, or of nonsense, everybody who asks is told."""
        assert self.process.stdout is not None
        why = "its process ended"
        try:
            for line in self.process.stdout:
                message = _parsed(line)
                (self._replies if "reply" in message else self._events).put(message)
                if message.get("event") == "failed":
                    why = message["why"]
        except Exception as error:  # bytes that are no text among them
            why = f"it said what is no message: {error}"
        gone = {"event": "failed", "why": why}
        self._events.put(gone)
        self._replies.put(gone)


def _parsed(line: str) -> dict[str, Any]:
    """A line of a process as a message.

    Raises:
        ValueError: it is neither a reply nor an event.
    """
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict) or not {"reply", "event"} & message.keys():
        raise ValueError(repr(line[:200]))
    if message.get("event") == "failed" and "why" not in message:
        raise ValueError(repr(line[:200]))
    return message


def end(process: subprocess.Popen[str], timeout_s: float = END_S) -> None:
    """Ends a process by the end of its stdin, else kills it."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
