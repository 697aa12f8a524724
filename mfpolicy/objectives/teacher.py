"""What an objective that learns from a teacher says of it, and how it finds it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.options import check_whole


@dataclass(frozen=True)
class TeacherOptions:
    """The policy whose velocity is learnt from.

    Attributes:
        run: run folder of a trained policy; None trains one into the folder ``teacher`` of the run.
        objective: what the one that is trained is trained with; it must learn a velocity.
        steps: its optimizer steps; None trains it as long as the student.
        start: the student starts from its weights; their networks must agree.
    """

    run: str | None = None
    objective: str = "flow_matching"
    steps: int | None = None
    start: bool = True

    def __post_init__(self) -> None:
        if self.run is not None and not str(self.run).strip():
            raise ConfigError("teacher.run must not be empty", received=self.run)
        if self.steps is not None:
            check_whole("teacher.steps", self.steps, 1, 10**9)
        if self.run is not None and self.steps is not None:
            raise ConfigError(
                "teacher.steps is of a teacher that is trained, and teacher.run gives one",
                received={"run": self.run, "steps": self.steps},
                remedy="leave one of them out",
            )


class Taught:
    """A closed-form velocity with a teacher's beside it, as a policy's network has it.

    Args:
        velocity: u of the student.
        teacher: u of the teacher; objectives ask it for r = t.

    Example:
        >>> z, t = torch.ones(1, 4, 2), torch.ones(1)
        >>> velocity = Taught(lambda z, r, t: z, teacher=lambda z, r, t: 2 * z)
        >>> float(velocity(z, t, t)[0, 0, 0]), float(teacher_velocity(velocity, z, t)[0, 0, 0])
        (1.0, 2.0)
    """

    def __init__(self, velocity: Velocity, teacher: Velocity) -> None:
        self.velocity = velocity
        self.teacher = teacher

    def __call__(self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Returns the student's u (B, Th, A)."""
        return self.velocity(z, r, t)


def teacher_of(velocity: Velocity) -> Velocity:
    """Returns the teacher that stands beside ``velocity``.

    Raises:
        ConfigError: there is none.
    """
    teacher = getattr(velocity, "teacher", None)
    if teacher is None:
        raise ConfigError(
            "this objective learns from a teacher, and none is at hand",
            remedy="train with `mfpolicy train`, which makes one, or give the policy one with "
            "Policy.learn_from",
        )
    return teacher


@torch.no_grad()
def teacher_velocity(velocity: Velocity, z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Returns the teacher's instantaneous velocity v(z, t), (B, Th, A), free of any graph.

    Args:
        velocity: the student's, with the teacher beside it.
        z: (B, Th, A).
        t: (B,).
    """
    return teacher_of(velocity)(z, t, t).to(z.dtype)
