"""A stand-in for a policy, and a server of it in a thread: it swings the tool, or fails if told.

What is measured with it is the bridge. It has the specification of a policy of this package, so
the node takes it for one.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import threading
import time
from typing import Any

import numpy as np

import envs
import mfpolicy
from mfpolicy.deployment.server.server import PolicyServer, ServerOptions

_SWING = 0.4  # of the largest action
_PERIOD = 40  # actions


class Swinging:
    """Decides a slow swing along y.

    Args:
        task: whose robot it moves. rate_hz: that the node is to tick at.

    Attributes:
        spec: of a policy of the task. delay_s: that each decision takes. is_nan: whether it decides
            what is no number.
    """

    def __init__(self, task: str, rate_hz: float) -> None:
        env = envs.make(task)
        told, recipe = env.spec_task, env.recipe
        env.close()
        policy = mfpolicy.build_policy(
            "mp1_small", point_dim=3, state_dim=told.state_dim, action_dim=told.action_dim
        )
        self.spec = dataclasses.replace(
            policy.spec,
            task=task,
            recipe=recipe.to_dict(),
            points=recipe.points,
            control_rate_hz=rate_hz,
        )
        self.delay_s, self.is_nan, self._decided = 0.0, False, 0

    def __call__(self, observation: Any, *, noise: Any = None) -> np.ndarray:
        """(B, Ta, A) actions."""
        if self.delay_s:
            time.sleep(self.delay_s)
        rows, steps = len(observation["agent_pos"]), self.spec.n_action_steps
        actions = np.zeros((rows, steps, self.spec.action_dim), np.float32)
        phases = (np.arange(steps) + steps * self._decided) * 2 * math.pi / _PERIOD
        actions[..., 1] = _SWING * np.cos(phases)
        self._decided += 1
        return np.full_like(actions, np.nan) if self.is_nan else actions


class Served:
    """A server of a policy, in a thread; use it in a ``with`` statement.

    Attributes:
        url: where it listens.
    """

    def __init__(self, policy: Swinging) -> None:
        self._policy, self._ready = policy, threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.url = ""

    def __enter__(self) -> Served:
        self._thread.start()
        if not self._ready.wait(60):
            raise RuntimeError("the server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Ends it."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(30)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await PolicyServer(self._policy, ServerOptions(port=0)).run(self._stop, self._note)

    def _note(self, host: str, port: int) -> None:
        self.url = f"ws://{host}:{port}"
        self._ready.set()
