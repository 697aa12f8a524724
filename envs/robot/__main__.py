"""``python -m envs.robot``: a task as a process that keeps time, for :mod:`real_robot.ros2.peer`.

The first message read from stdin says what to simulate; then commands come, and frames leave by
stdout. It ends when stdin does, so it never outlives the process that started it.
"""

from __future__ import annotations

import os
import sys
import threading
import time

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

    def listen() -> None:
        while (message := read_message(source)) is not None:
            told.add(message[0])
        told.end()
        time.sleep(_GRACE_S)  # neither a long step nor a pipe that nobody reads keeps the process
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    try:
        run(first[0], told, lambda head, arrays=None: write_message(out, head, arrays))
    except BrokenPipeError:
        pass
    except Exception as error:
        write_message(out, {"say": "failed", "why": f"{type(error).__name__}: {error}"})
        raise
    os._exit(0)  # past the thread that reads


if __name__ == "__main__":
    raise SystemExit(main())
