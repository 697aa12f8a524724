"""``mfpolicy collect``."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mfpolicy.cli.console import output, print_rows, progress_bar
from mfpolicy.cli.environments import simulators
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import CollectConfig, compose
from mfpolicy.errors import ConfigError
from mfpolicy.types import MERGED


def run(words: Sequence[str]) -> int:
    """Collects a dataset and says what came of it."""
    if answers_itself("collect", words):
        return 0
    config = compose("collect", words)
    make_env = environment_of(config)
    if config.expert is not None:
        make_env = functools.partial(_demonstrated_by, config.expert, make_env)
    from mfpolicy.data.collect import collect

    with progress_bar("collect", config.episodes, "attempts") as show:
        report = collect(
            make_env,
            config.out,
            episodes=config.episodes,
            seed=config.seed,
            tail_steps=config.tail_steps,
            max_attempts=config.max_attempts,
            store_extras=config.store_extras,
            store_images=config.store_images,
            progress=lambda attempt: show(attempt.kept, attempt.attempted),
        )
    expert = f"{report.expert_success_rate:.0%} ({report.kept} of {report.attempted} attempts)"
    rows = [
        ("dataset", str(report.path)),
        ("episodes", f"{report.kept}, {report.steps} steps"),
        ("expert's success", expert),
        ("time", f"{report.seconds:.1f} s"),
        ("next", f"mfpolicy train task={config.task} data={report.path} out=runs/…"),
    ]
    print_rows(output(), rows)
    return 0


def environment_of(config: CollectConfig) -> Callable[[], Any]:
    """Returns what builds the environment of the task, with the suite options that were changed.

    Raises:
        TaskError: no suite has the task.
    """
    envs = simulators()
    envs.spec(config.task)
    options = dict(config.suite)
    if config.points is not None:
        options["points"] = config.points
    if config.cameras is not None or config.clouds != MERGED:
        options |= {"cameras": config.cameras, "clouds": config.clouds}
    return functools.partial(envs.make, config.task, **options)


def _demonstrated_by(path: str, make_env: Callable[[], Any]) -> Any:
    """The environment with the policy in the file at ``path`` as its expert."""
    expert, name = _read_expert(Path(path).expanduser())
    env = make_env()
    try:
        env.use_expert(expert, name)
    except BaseException:
        env.close()
        raise
    return env


def _read_expert(path: Path) -> tuple[Any, str]:
    """An expert of ours (``.npz``) or a policy of mjrl, and what datasets call it."""
    from envs.experts.network import NetworkExpert
    from mfpolicy.deployment.importing.mjrl import read_mjrl_policy

    if path.suffix == ".npz":
        if not path.is_file():
            raise ConfigError("expert must name a file that exists", received=str(path))
        expert = NetworkExpert.load(path)
        return expert, f"{path.name} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    policy = read_mjrl_policy(path)
    expert = NetworkExpert(policy.arrays(), seen_within=math.inf)
    return expert, f"{policy.name} sha256:{policy.sha256}"
