"""Policies for a controller: a run in this process, or one that a server holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mfpolicy.errors import ConfigError, RunError
from real_robot.core.deciding import Decide
from real_robot.core.facts import PolicyFacts


@dataclass(frozen=True)
class OpenPolicy:
    """A policy that is ready to decide.

    Attributes:
        decide: point_cloud (1, To, P, C) and agent_pos (1, To, S) → actions (1, Ta, A).
        facts: its shapes and its recipe. close: ends a connection.
    """

    decide: Decide
    facts: PolicyFacts
    close: Callable[[], None] = lambda: None

    def warm(self) -> None:
        """Decides once on points of no meaning, so that what is done at the first time is done."""
        facts = self.facts
        points = np.zeros((1, facts.n_obs_steps, facts.points, facts.point_dim), np.float32)
        state = np.zeros((1, facts.n_obs_steps, facts.state_dim), np.float32)
        actions = self.decide({"point_cloud": points, "agent_pos": state})
        wanted = (1, facts.n_action_steps, facts.action_dim)
        if np.shape(actions) != wanted:
            raise RunError(
                f"a policy must decide actions of the shape (1, Ta, A) = {wanted}",
                received=np.shape(actions),
            )


def open_policy(
    *,
    run: str = "",
    task: str = "",
    server: str = "",
    token: str = "",
    device: str = "cpu",
    compiled: bool = True,
    timeout_s: float = 5.0,
) -> OpenPolicy:
    """Opens a run folder, or a connection to ``mfpolicy serve``.

    Args:
        run: folder; needs PyTorch here.
        task: which one a run of several tasks is to do; of a server, it is named there.
        server: ``ws://HOST:PORT``; needs numpy alone.
        token: of the server, if it has one.
        device: that a run is computed on.
        compiled: whether a run is compiled where it can be: it decides faster and opens slower.
        timeout_s: of the server's answers.

    Raises:
        ConfigError: not just one of run and server is given, or the policy has no recipe.
        RunError: the folder holds no policy.
        ConnectionError: nobody listens there.
    """
    if bool(run) == bool(server):
        raise ConfigError(
            "either run or server must be given",
            received=(run, server),
            remedy="run: a run folder, or server: ws://HOST:PORT of mfpolicy serve",
        )
    if server:
        from mfpolicy.deployment.client import PolicyClient

        client = PolicyClient(server, token=token or None, timeout_s=timeout_s)
        try:
            return OpenPolicy(client.predict, PolicyFacts.of(client.metadata["spec"]), client.close)
        except BaseException:
            client.close()
            raise
    from mfpolicy.deployment.chunk_policy import load_chunk_policy

    policy = load_chunk_policy(run, device=device, compiled=compiled, task=task or None)
    return OpenPolicy(policy, PolicyFacts.of(policy.spec))
