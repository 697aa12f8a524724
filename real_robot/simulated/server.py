"""`PolicyProcess`: ``mfpolicy serve`` for a closed loop, in a process that ends with this one."""

from __future__ import annotations

import json
import sys
import threading

from mfpolicy.errors import RunError
from real_robot.simulated.asking import end
from real_robot.simulated.environments import LoopPlace


class PolicyProcess:
    """Serves a run on this machine alone.

    Args:
        place: of the loop.
        run: folder.
        words: further options of ``mfpolicy serve``.
        timeout_s: until it must say where it listens; a policy is loaded and compiled meanwhile.

    Attributes:
        url: where it listens.

    Raises:
        RunError: it does not start, or not in time.
    """

    def __init__(self, place: LoopPlace, run: str, *words: str, timeout_s: float = 300.0) -> None:
        serve = ["mfpolicy", "serve", f"run={run}", "host=127.0.0.1", "port=0", *words]
        self._process = place.start(
            "server", [sys.executable, "-m", "real_robot.leash", *serve], answers=True
        )
        line = self._first_line(timeout_s)
        if line is None:
            self.close()
            raise RunError(
                f"the policy server must say where it listens within {timeout_s:g} s",
                received=place.last_words("server") or "nothing",
                remedy=f"try it alone: mfpolicy serve run={run}; compiled=false starts sooner",
            )
        try:
            self.url: str = json.loads(line)["url"]
        except (KeyError, TypeError, ValueError):
            self.close()
            raise RunError(
                "the policy server must start, and say where it listens",
                received=line or place.last_words("server"),
                remedy=f"try it alone: mfpolicy serve run={run}",
            ) from None

    def _first_line(self, timeout_s: float) -> str | None:
        """What it says first; None where that does not come in time."""
        assert self._process.stdout is not None
        said: list[str] = []
        source = self._process.stdout
        reader = threading.Thread(target=lambda: said.append(source.readline()), daemon=True)
        reader.start()
        reader.join(timeout_s)
        return said[0] if said else None

    def __enter__(self) -> PolicyProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends it."""
        end(self._process)
        if self._process.stdout is not None:
            self._process.stdout.close()
