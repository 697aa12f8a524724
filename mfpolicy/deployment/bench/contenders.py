"""Who is timed: policies by name, each on the backends and precisions that run it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mfpolicy.config import compose_preset
from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.backends import BACKENDS, automatic
from mfpolicy.deployment.runtime import Runtime
from mfpolicy.errors import ConfigError
from mfpolicy.policy import Policy, load_policy
from mfpolicy.presets import policy_spec

METAWORLD_STATE_DIM = 9  # the default: an untrained policy is then what one of that suite is


@dataclass(frozen=True)
class Contender:
    """What is timed.

    Attributes:
        policy: a preset, ``preset/objective``, or a run folder.
        backend, precision: as in :class:`mfpolicy.deployment.Runtime`.
        state_dim, action_dim: of a policy that is built for the measurement, untrained: the time
            does not depend on the weights.
        device: where it runs. batch: rows of a decision. threads: of a CPU.
    """

    policy: str
    backend: str
    precision: str
    state_dim: int
    action_dim: int
    device: str
    batch: int
    threads: int

    @property
    def label(self) -> str:
        """Its name in a figure."""
        return f"{self.policy}, {self.backend} {self.precision}"

    def build(self) -> Policy:
        """Builds or loads the policy; of several tasks, that of the first, as all take as long.

        Raises:
            ConfigError: no preset or objective has the name.
            RunError: the run folder holds no policy.
        """
        if os.sep in self.policy and Path(self.policy).exists():
            loaded = load_policy(self.policy)
            return loaded.for_task(loaded.spec.tasks[0]) if loaded.spec.several else loaded
        preset, _, objective = self.policy.partition("/")
        config = compose_preset(preset, [f"objective={objective}"] if objective else [])
        torch.manual_seed(0)
        spec = policy_spec(
            config,
            point_dim=3,
            state_dim=self.state_dim,
            action_dim=self.action_dim,
            tasks=["metaworld/reach"] if self.state_dim == METAWORLD_STATE_DIM else [],
        )
        return Policy(spec).eval()

    def compile(self) -> Runtime:
        """Builds and compiles it; PyTorch's own threads are set as well."""
        torch.set_num_threads(self.threads)
        return self.build().compile(
            device=self.device,
            batch=self.batch,
            backend=self.backend,
            precision=self.precision,
            threads=self.threads,
        )


def contenders(
    policies: Sequence[str],
    *,
    backends: Sequence[str],
    precisions: Sequence[str],
    batches: Sequence[int],
    threads: Sequence[int],
    device: str,
    state_dim: int,
    action_dim: int,
) -> list[Contender]:
    """Every combination that exists: a backend leaves out precisions that it does not know.

    Raises:
        ConfigError: a name is unknown, or no combination is left.
    """
    place = torch.device(device)
    known = {precision for name in BACKENDS.names() for precision in BACKENDS.get(name).precisions}
    for precision in precisions:
        if precision not in known:
            raise ConfigError(f"precision must be one of {sorted(known)}", received=precision)
    found: list[Contender] = []
    for policy in policies:
        sizes = {"state_dim": state_dim, "action_dim": action_dim, "device": device}
        plain = Contender(policy, "eager", "float32", batch=1, threads=1, **sizes)
        own = automatic(ActionModule(plain.build()), place)
        for backend in dict.fromkeys(own if name == "auto" else name for name in backends):
            cls = BACKENDS.get(backend)
            if place.type not in cls.devices:
                raise ConfigError(
                    f"the backend {backend!r} must know the device; it knows {list(cls.devices)}",
                    received=device,
                )
            found += [
                Contender(policy, backend, precision, batch=b, threads=t, **sizes)
                for precision in precisions
                if precision in cls.precisions
                for b in batches
                for t in threads
            ]
    if not found:
        raise ConfigError(
            "a backend must know one of the precisions",
            received={"backend": list(backends), "precision": list(precisions)},
        )
    return found
