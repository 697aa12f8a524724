"""The data that stages hand to one another, and the shape legend of the package.

Shape legend: B batch, To observation horizon, Th chunk horizon, Ta executed actions,
P points, S state dimension, A action dimension, N steps of a dataset, E episodes, W windows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Array = Any
"""A numpy array or a torch tensor."""

XYZRGB = 6
"""Values of a colored point: x, y, z in metres, then red, green and blue from 0 to 255."""

RAYCAST = "raycast"
"""The renderer that needs no OpenGL: clouds differ a little from the others', and no pictures."""

MERGED, APART = "merged", "apart"
CLOUDS = (MERGED, APART)
"""What becomes of the clouds of several cameras: one, or one of each that lie in turns."""

DATA_FILE = "data.yaml"
"""What a run folder calls the description of its training data."""


DATASETS = "datasets"
"""Where it describes the dataset of each task, by its name, if there are several."""


@dataclass(frozen=True)
class Observation:
    """What the policy sees: point clouds in the world frame in metres, and robot states.

    Attributes:
        point_cloud: (B, To, P, 3) float32; for a policy that sees colors (B, To, P, 6), red, green
            and blue from 0 to 255 behind x, y, z.
        agent_pos: (B, To, S) float32.
        task: for a policy of several tasks, the name of the one to do, or one name a row, or their
            numbers (B,); None where there is one.
    """

    point_cloud: Array
    agent_pos: Array
    task: Any = None


@dataclass(frozen=True)
class Batch:
    """A training batch: an observation and the action chunk that starts at its first frame.

    Attributes:
        point_cloud: (B, To, P, 3) float32, metres, world frame; or (B, To, P, 6) with colors.
        agent_pos: (B, To, S) float32.
        action: (B, Th, A) float32.
        episode: (B,) int64, the episode each row comes from.
        step: (B,) int64, the step of the row's last observation within its episode.
        frame: (B, To) int64, the number of each observed frame within the training data. Windows
            overlap, so a batch may hold a frame several times: equal numbers say so. None where
            it is not known.
        task: (B,) int64, the number of each row's task; None in data of one task.
    """

    point_cloud: torch.Tensor
    agent_pos: torch.Tensor
    action: torch.Tensor
    episode: torch.Tensor
    step: torch.Tensor
    frame: torch.Tensor | None = None
    task: torch.Tensor | None = None


@dataclass(frozen=True)
class WorldVectors:
    """Which values of state and action are vectors in the world frame.

    Each vector is the places of its x, y and z. What is in none is no such vector: a joint angle,
    a gripper's opening.

    Attributes:
        state_positions: positions in the state (S,), metres.
        action_positions: positions to be at, in an action (A,).
        action_displacements: steps from where it is, or forces, in an action (A,).
    """

    state_positions: tuple[tuple[int, int, int], ...] = ()
    action_positions: tuple[tuple[int, int, int], ...] = ()
    action_displacements: tuple[tuple[int, int, int], ...] = ()


ACTION_KINDS = ("displacement", "position", "effort")
"""What an action dimension commands: a step from where it is, a place to be at, or a force."""


@dataclass(frozen=True)
class DemonstrationRule:
    """How long an expert's attempt is recorded, and when it is kept.

    Attributes:
        tail_steps: control steps recorded after the first success; None: all up to the horizon.
        goal_steps: control steps with success that an attempt needs to be kept, at least 1.
        success_at_end: whether the last recorded step must be one of them.
    """

    tail_steps: int | None = 10
    goal_steps: int = 1
    success_at_end: bool = False


@dataclass(frozen=True)
class TaskSpec:
    """A task as `mfpolicy tasks` lists it.

    Attributes:
        name: ``suite/task``, for example ``metaworld/drawer-open``.
        suite: the suite, for example ``metaworld``.
        difficulty: easy, medium, hard or very hard; ``adroit`` for the hand, which the
            literature reports as a group of its own.
        state_dim: S. action_dim: A.
        horizon: control steps of an episode.
        control_rate_hz: control steps per second of simulated time.
        expert: where demonstrations come from, for example ``scripted``.
        action_kinds: of each action dimension, one of ``ACTION_KINDS``; empty where not known.
        demonstration: what is kept of an expert's attempt.
    """

    name: str
    suite: str
    difficulty: str
    state_dim: int
    action_dim: int
    horizon: int
    control_rate_hz: float
    expert: str
    action_kinds: tuple[str, ...] = ()
    demonstration: DemonstrationRule = DemonstrationRule()


@dataclass(frozen=True)
class EpisodeResult:
    """One evaluated episode, as a line of ``episodes.jsonl``.

    Attributes:
        seed: seed of the environment's reset and of the policy's noise.
        success_any: the success flag was up at some step.
        success_end: the success flag was up at the last step.
        steps: control steps taken.
        episode_return: sum of the environment's rewards.
        clipped_actions: steps whose action lay outside the action space and was clipped to it.
        latencies_ms: per stage (points, copy, encoder, network, total), one entry a decision.
        holds: steps at which no action was there yet and the robot was held where it was.
        rms_jerk_per_s3: of the commanded motion, in action units per s³; None where too short, or
            recorded before it was measured.
        flags: further flags that the task names → whether it was up at some step.
    """

    seed: int
    success_any: bool
    success_end: bool
    steps: int
    episode_return: float
    clipped_actions: int = 0
    latencies_ms: dict[str, list[float]] = field(default_factory=dict)
    holds: int = 0
    rms_jerk_per_s3: float | None = None
    flags: dict[str, bool] = field(default_factory=dict)
