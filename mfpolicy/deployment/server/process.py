"""A policy server as a process of its own: ends gracefully on SIGINT and SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import numpy as np

from mfpolicy.deployment.chunk_policy import ChunkPolicy
from mfpolicy.deployment.server.server import PolicyServer, ServerOptions

FREE_POINTS = 512
"""Points of the cloud that warms a policy for any number of points."""


def serve_until_signal(
    policy: ChunkPolicy, options: ServerOptions, ready: Callable[[str, int], None]
) -> None:
    """Warms the policy and serves it until SIGINT or SIGTERM; a second signal ends it at once.

    Raises:
        BackendError: it cannot listen there.
    """
    warm(policy)
    asyncio.run(_serve(PolicyServer(policy, options), ready))


def warm(policy: ChunkPolicy) -> None:
    """Decides once on zeros, so that the first client does not wait for what is done once."""
    spec = policy.spec
    points = spec.points or FREE_POINTS
    observation = {
        "point_cloud": np.zeros((1, spec.n_obs_steps, points, spec.point_dim), np.float32),
        "agent_pos": np.zeros((1, spec.n_obs_steps, spec.state_dim), np.float32),
    }
    policy(observation, noise=np.zeros((1, spec.horizon, spec.action_dim), np.float32))


async def _serve(server: PolicyServer, ready: Callable[[str, int], None]) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGINT, signal.SIGTERM)

    def end() -> None:
        for number in signals:
            loop.remove_signal_handler(number)
        stop.set()

    for number in signals:
        loop.add_signal_handler(number, end)
    await server.run(stop, ready)
