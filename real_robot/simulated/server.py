"""`PolicyProcess`: ``mfpolicy serve`` for a closed loop, in a process that ends with this one."""

from __future__ import annotations

import json
import sys

from mfpolicy.errors import RunError
from real_robot.simulated.asking import end
from real_robot.simulated.environments import LoopPlace


class PolicyProcess:
    """Serves a run on this machine alone.

    Args:
        place: of the loop.
        run: folder.
        words: further options of ``mfpolicy serve``.

    Attributes:
        url: where it listens.

    Raises:
        RunError: it does not start.
    """

    def __init__(self, place: LoopPlace, run: str, *words: str) -> None:
        serve = ["mfpolicy", "serve", f"run={run}", "host=127.0.0.1", "port=0", *words]
        self._process = place.start(
            "server", [sys.executable, "-m", "real_robot.leash", *serve], answers=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        try:
            self.url: str = json.loads(line)["url"]
        except (KeyError, TypeError, ValueError):
            self.close()
            raise RunError(
                "the policy server must start, and say where it listens",
                received=line or place.last_words("server"),
                remedy=f"try it alone: mfpolicy serve run={run}",
            ) from None

    def __enter__(self) -> PolicyProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends it."""
        end(self._process)
        if self._process.stdout is not None:
            self._process.stdout.close()
