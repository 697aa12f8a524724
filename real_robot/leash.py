"""``python -m real_robot.leash MODULE WORD…``: a module as a program that ends when its stdin does.

Who starts it holds the other end: however that process ends, by ``kill -9`` too, this one follows.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import sys
import threading
import time

GRACE_S = 5.0


def hold(grace_s: float = GRACE_S) -> None:
    """Sends this process SIGTERM when its stdin ends, and SIGKILL ``grace_s`` later."""

    def watch() -> None:
        with contextlib.suppress(OSError):  # an end as well
            while os.read(0, 4096):
                pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_s)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="leash", daemon=True).start()


def main() -> None:
    """Runs the module that the words name."""
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m real_robot.leash MODULE WORD…")
    hold()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
