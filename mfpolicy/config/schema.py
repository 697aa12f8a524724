"""What each command takes, as frozen dataclasses that refuse values without a meaning.

The defaults live in ``configs/*.yaml`` alone; ``mfpolicy VERB --help`` lists them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from mfpolicy.config.budget import parse_budget, snapshot_steps
from mfpolicy.config.checks import above_zero, at_least, known_device, not_empty, one_of
from mfpolicy.config.tasks import MultitaskConfig, OneOrSeveral, as_tuple, check_tasks
from mfpolicy.errors import ConfigError
from mfpolicy.types import CLOUDS

PRECISIONS = ("float32", "bfloat16")
COMPILE_MODES = ("none", "default", "cuda_graphs")


@dataclass(frozen=True)
class PolicyConfig:
    """The shape of a policy in time and space.

    Attributes:
        name: the preset's name.
        n_obs_steps: To, observed frames.
        horizon: Th, steps of a predicted chunk; it starts at the first observed frame.
        n_action_steps: Ta, executed steps; they start at the last observed frame.
        points: P, points per cloud (a prefix of the stored ones); None takes all that are stored.
        color: whether the policy sees the colors of points.

    Raises:
        ConfigError: a value is out of range, or the executed steps reach beyond the chunk.
    """

    name: str
    n_obs_steps: int
    horizon: int
    n_action_steps: int
    points: int | None
    color: bool

    def __post_init__(self) -> None:
        whole = ("n_obs_steps", "horizon", "n_action_steps", "points")
        at_least(1, **{f"policy.{name}": getattr(self, name) for name in whole})
        if self.n_obs_steps - 1 + self.n_action_steps > self.horizon:
            raise ConfigError(
                "policy.horizon must hold the executed steps: at least "
                "n_obs_steps - 1 + n_action_steps",
                received={
                    "horizon": self.horizon,
                    "n_obs_steps": self.n_obs_steps,
                    "n_action_steps": self.n_action_steps,
                },
            )


@dataclass(frozen=True)
class TrainingConfig:
    """The optimizer and its schedule; ``configs/train.yaml`` says what each value does."""

    steps: int
    batch_size: int
    draws: int
    learning_rate: float
    betas: tuple[float, float]
    weight_decay: float
    warmup_steps: int
    ema_share: float | None
    ema_power: float
    ema_max_decay: float
    grad_clip_norm: float
    max_loss: float
    micro_batches: int | None
    precision: str
    compile: str
    checkpoint_every: int
    log_every: int
    snapshots: int

    def __post_init__(self) -> None:
        whole = ("steps", "batch_size", "draws", "micro_batches", "checkpoint_every", "log_every")
        at_least(1, **{f"training.{name}": getattr(self, name) for name in whole})
        positive = ("learning_rate", "ema_power", "grad_clip_norm", "max_loss")
        above_zero(**{f"training.{name}": getattr(self, name) for name in positive})
        not_negative = ("weight_decay", "warmup_steps", "snapshots")
        at_least(0, **{f"training.{name}": getattr(self, name) for name in not_negative})
        for decay in (*self.betas, self.ema_max_decay):
            if not 0 <= decay < 1:
                raise ConfigError(
                    "training.betas and training.ema_max_decay must lie in [0, 1)", received=decay
                )
        if self.ema_share is not None and not 0 < self.ema_share <= 1:
            raise ConfigError("training.ema_share must lie in (0, 1]", received=self.ema_share)
        one_of(PRECISIONS, **{"training.precision": self.precision})
        one_of(COMPILE_MODES, **{"training.compile": self.compile})


@dataclass(frozen=True)
class ValidationConfig:
    """Held-out episodes: how many, how often to measure on them, how long to be patient."""

    episodes: int
    every: int
    patience: int | None

    def __post_init__(self) -> None:
        at_least(0, **{"validation.episodes": self.episodes})
        whole = ("every", "patience")
        at_least(1, **{f"validation.{name}": getattr(self, name) for name in whole})
        if self.patience is not None and not self.episodes:
            raise ConfigError(
                "validation.patience needs held-out episodes: a run must never stop by what it "
                "is trained or tested on",
                received=self.patience,
                remedy="set validation.episodes, or leave validation.patience at null",
            )


@dataclass(frozen=True)
class LoggingConfig:
    """Where progress goes. ``wandb`` is auto, offline or disabled; no account is ever needed."""

    wandb: str
    project: str
    progress: bool
    tensorboard: bool

    def __post_init__(self) -> None:
        one_of(("auto", "offline", "disabled"), **{"logging.wandb": self.wandb})
        not_empty(**{"logging.project": self.project})


@dataclass(frozen=True)
class PresetConfig:
    """A policy's parts as a preset names them, ready for the registries.

    Attributes:
        policy: the shape in time and space.
        encoder: registered name under ``name`` and its options; network and objective alike.
    """

    policy: PolicyConfig
    encoder: dict[str, Any]
    network: dict[str, Any]
    objective: dict[str, Any]

    def __post_init__(self) -> None:
        for part in ("encoder", "network", "objective"):
            if not isinstance(getattr(self, part).get("name"), str):
                raise ConfigError(
                    f"{part} must have a name",
                    received=getattr(self, part),
                    remedy=f"set {part}.name",
                )


@dataclass(frozen=True)
class TrainConfig(PresetConfig):
    """Everything ``mfpolicy train`` needs; ``config.yaml`` of a run folder holds it whole.

    Attributes:
        task: what the data show; or the names of several, for one policy of them all.
        data: the dataset; or that of each task, in their order.
        augment: augmentations by registered name, each whether it is ``enabled``, and its options.
        auxiliary: auxiliary losses on the encoder, likewise.
        multitask: of several tasks; of one it has no meaning.
    """

    task: OneOrSeveral
    data: OneOrSeveral
    out: str
    seed: int
    device: str
    resume: Literal[False, True, "force"]
    budget: str | None
    training: TrainingConfig
    validation: ValidationConfig
    logging: LoggingConfig
    augment: dict[str, Any] = field(default_factory=dict)
    auxiliary: dict[str, Any] = field(default_factory=dict)
    multitask: MultitaskConfig | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for group in ("augment", "auxiliary"):
            for name, own in getattr(self, group).items():
                if not isinstance(own, dict) or not isinstance(own.get("enabled"), bool):
                    raise ConfigError(f"{group}.{name}.enabled must be true or false", received=own)
        check_tasks(self.task, self.data)
        not_empty(out=self.out)
        at_least(0, seed=self.seed)
        known_device(self.device)
        budget = parse_budget(self.budget or f"{self.training.steps}steps")
        if budget.epochs is None:  # how many steps they are is known with the data
            snapshot_steps(self.training.snapshots, budget.steps)
        if len(self.tasks) > 1 and self.multitask is None:
            raise ConfigError("several tasks need the options of multitask", received=self.task)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks, one or several."""
        return as_tuple(self.task)

    @property
    def data_of(self) -> dict[str, str]:
        """The dataset of each task, in their order."""
        return dict(zip(self.tasks, as_tuple(self.data), strict=True))


@dataclass(frozen=True)
class EvalConfig:
    """Everything ``mfpolicy eval`` takes; None lets the evaluation decide.

    Attributes:
        execution: of chunks, registered name under ``name`` and its options.
        perturbation: of what is seen or of the task, likewise; the name ``none`` is none.
    """

    run: str
    task: str | None
    episodes: int
    seed: int
    workers: int | None
    device: str
    steps: int | None
    noise_scale: float
    guidance_scale: float | None
    execution: dict[str, Any]
    perturbation: dict[str, Any]
    latency_ms: float
    backend: str | None
    precision: str
    videos: bool
    name: str | None

    def __post_init__(self) -> None:
        not_empty(run=self.run, task=self.task, name=self.name, backend=self.backend)
        at_least(1, episodes=self.episodes, workers=self.workers, steps=self.steps)
        at_least(0, seed=self.seed, noise_scale=self.noise_scale, latency_ms=self.latency_ms)
        known_device(self.device)


@dataclass(frozen=True)
class CollectConfig:
    """Everything ``mfpolicy collect`` takes.

    Attributes:
        tail_steps: None takes the suite's.
        points: points per cloud; None takes the suite's.
        cameras: their names; None takes the suite's one.
        clouds: of several cameras, ``merged`` or ``apart``.
        suite: only the suite options that were changed on the command line.
    """

    task: str
    out: str
    episodes: int
    seed: int
    tail_steps: int | None
    expert: str | None
    max_attempts: int | None
    store_extras: bool
    store_images: bool
    points: int | None
    cameras: tuple[str, ...] | None
    clouds: str
    suite: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        not_empty(task=self.task, out=self.out, expert=self.expert)
        at_least(1, episodes=self.episodes, points=self.points, max_attempts=self.max_attempts)
        at_least(0, seed=self.seed, tail_steps=self.tail_steps)
        one_of(CLOUDS, clouds=self.clouds)


@dataclass(frozen=True)
class SweepConfig:
    """Where and how the cells of a sweep run; what they train is a TrainConfig each.

    Attributes:
        launcher: registered name under ``name``, and the options of Hydra's launcher plugin.
    """

    out: str
    episodes: int
    resume: Literal[False, True, "force"]
    threads: int | None
    max_batch_size: int | None
    launcher: dict[str, Any]

    def __post_init__(self) -> None:
        not_empty(out=self.out)
        at_least(0, episodes=self.episodes)
        at_least(1, threads=self.threads, max_batch_size=self.max_batch_size)
