"""``python -m envs.robot``: a task as a process that keeps time, for :mod:`real_robot.ros2.peer`.

The first message read from stdin says what to simulate; then commands come, and frames leave by
stdout. It ends when stdin does, so it never outlives the process that started it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import traceback

from envs.robot.pacing import Told, run
from mfpolicy.pipes import read_message, write_message

_GRACE_S = 1.0


def main() -> int:
    """Simulates until stdin ends."""
    source = sys.stdin.buffer
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(
        sys.stderr.fileno(), sys.stdout.fileno()
    )  # a library that prints must not be in the way
    first = read_message(source)
    if first is None:
        return 0
    told = Told()
    failures: list[Exception] = []

    def listen() -> None:
        try:
            while (message := read_message(source)) is not None:
                told.add(message[0])
        except Exception as error:  # told by the thread that writes, if it is not stuck
            traceback.print_exc()
            failures.append(error)
        told.end()
        time.sleep(_GRACE_S)  # neither a long step nor a pipe that nobody reads keeps the process
        os._exit(bool(failures))

    threading.Thread(target=listen, daemon=True).start()
    try:
        run(first[0], told, lambda head, arrays=None: write_message(out, head, arrays))
        if failures:
            raise failures[0]
    except BrokenPipeError:
        pass
    except Exception as error:
        traceback.print_exc()
        with contextlib.suppress(OSError):
            write_message(out, {"say": "failed", "why": f"{type(error).__name__}: {error}"})
        os._exit(1)
    os._exit(0)  # past the thread that reads


if __name__ == "__main__":
    raise SystemExit(main())
