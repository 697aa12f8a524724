"""`ChunkPolicy`: anything that decides, and how a run becomes one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch

from mfpolicy import objectives
from mfpolicy.policy import Policy, PolicySpec, load_policy
from mfpolicy.policy.tasks import require_one_task


class ChunkPolicy(Protocol):
    """Anything that decides: numpy in, numpy out."""

    @property
    def spec(self) -> PolicySpec:
        """Shapes and origin."""
        ...

    def __call__(
        self, observation: Mapping[str, np.ndarray], *, noise: np.ndarray | None = None
    ) -> np.ndarray:
        """(B, To, P, C) and (B, To, S), noise (B, Th, A) → actions (B, Ta, A) float32."""
        ...


class EagerChunkPolicy:
    """A policy as PyTorch runs it, without compilation.

    Args:
        policy: on the device that it runs on.
        steps: network evaluations (NFE); None takes the objective's default.

    Raises:
        ConfigError: the objective cannot do so many steps, or the policy has several tasks.

    Example:
        >>> import mfpolicy
        >>> policy = mfpolicy.build_policy("mp1_small", point_dim=3, state_dim=9, action_dim=4)
        >>> decide = EagerChunkPolicy(policy)
        >>> observation = {"point_cloud": np.zeros((1, 2, policy.spec.points, 3), np.float32),
        ...                "agent_pos": np.zeros((1, 2, 9), np.float32)}
        >>> decide(observation, noise=np.zeros((1, 4, 4), np.float32)).shape
        (1, 3, 4)
    """

    def __init__(self, policy: Policy, *, steps: int | None = None) -> None:
        require_one_task(policy.spec)
        self.spec = policy.spec
        self._policy = policy.eval()
        self._steps = policy.objective.check_steps(steps)
        self._generator = fresh_generator()  # for samplers that draw more on their way

    def __call__(
        self, observation: Mapping[str, np.ndarray], *, noise: np.ndarray | None = None
    ) -> np.ndarray:
        """Returns actions (B, Ta, A); arguments as in :class:`ChunkPolicy`."""
        actions = self._policy.predict(
            observation,
            steps=self._steps,
            noise=None if noise is None else torch.from_numpy(noise),
            generator=self._generator,
        )
        return actions.float().cpu().numpy()


class CompiledChunkPolicy:
    """A compiled policy for single rows, as one robot sends them; several go together, uncompiled.

    Args:
        policy: on the device that it runs on.
        steps: network evaluations (NFE); None takes the objective's default.

    Raises:
        ConfigError: the objective cannot do so many steps, or draws on its way.
    """

    def __init__(self, policy: Policy, *, steps: int | None = None) -> None:
        self.spec = policy.spec
        self._together = EagerChunkPolicy(policy, steps=steps)
        self._alone = policy.compile(device=policy.device, steps=steps)

    def __call__(
        self, observation: Mapping[str, np.ndarray], *, noise: np.ndarray | None = None
    ) -> np.ndarray:
        """Returns actions (B, Ta, A); arguments as in :class:`ChunkPolicy`."""
        one = len(np.asarray(observation["point_cloud"])) == 1
        return (self._alone if one else self._together)(observation, noise=noise)


class NoiseSource:
    """Draws what chunks of a policy start from, whatever computes them.

    Example:
        >>> import mfpolicy
        >>> policy = mfpolicy.build_policy("mp1_small", point_dim=3, state_dim=9, action_dim=4)
        >>> source = NoiseSource(policy.spec)
        >>> bool((source.draw(2, seed=7) == source.draw(2, seed=7)).all())
        True
    """

    def __init__(self, spec: PolicySpec) -> None:
        self._noise = objectives.build(**spec.objective).noise
        self._chunk = (spec.horizon, spec.action_dim)
        self._generator = fresh_generator()

    def draw(self, rows: int, seed: int | None = None) -> np.ndarray:
        """Noise (rows, Th, A): that of ``policy.predict`` with a CPU generator of this seed."""
        generator = self._generator
        if seed is not None:
            generator = torch.Generator().manual_seed(seed)
        return self._noise.draw((rows, *self._chunk), generator=generator).numpy()


def fresh_generator() -> torch.Generator:
    """A generator that no other run repeats."""
    return torch.Generator().manual_seed(int.from_bytes(os.urandom(8), "little") >> 1)


def load_chunk_policy(
    run: str | os.PathLike[str],
    *,
    device: str = "cpu",
    steps: int | None = None,
    compiled: bool = True,
    task: str | None = None,
) -> ChunkPolicy:
    """Loads a run as something that decides.

    Args:
        run: run folder.
        device: where it runs.
        steps: network evaluations (NFE); None takes the objective's default.
        compiled: compile it where that is possible: faster, equal within rounding.
        task: which of several tasks to do; None of a policy of one.

    Raises:
        RunError: the run folder holds no policy.
        BackendError: this machine has no such device.
        ConfigError: the objective cannot do so many steps, or there are several tasks and none
            is named.
        TaskError: the policy was not trained for the task.
    """
    policy = load_policy(run, device, task=task)
    if compiled and not policy.objective.draws_while_sampling(policy.objective.check_steps(steps)):
        return CompiledChunkPolicy(policy, steps=steps)
    return EagerChunkPolicy(policy, steps=steps)
