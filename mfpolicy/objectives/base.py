"""What every objective offers."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.noise import Noise
from mfpolicy.objectives.teacher import TeacherOptions
from mfpolicy.objectives.velocity import Velocity
from mfpolicy.registry import Registry

OBJECTIVES: Registry[Objective] = Registry("objective")

Diagnostics = dict[str, torch.Tensor]
"""Detached scalars to log, by name."""


class Objective:
    """A loss for a velocity and a sampler that turns noise into action chunks with it.

    Attributes:
        needs_null: the policy must learn a null condition (classifier-free guidance).
        teacher: the policy that it learns from, where it learns from one.
        predicts: what the network's output means: ``average_velocity`` u(z, r, t), ``velocity``
            v(z, t) at r = t, ``endpoint``, of u(z, r, t) only r = 0 and r = t, or ``sample``,
            the clean chunk x itself.
        needs_average: :meth:`loss` takes targets from the average of the weights, where the
            velocity has one.
        progress: share of training that is done, in [0, 1]. The trainer sets it before every
            step, as a function of the step alone; curricula read it.
        stochastic: :meth:`sample` depends on the noise it is given.
        learns_flow_map: u(z, r, t) is learnt on every interval, as tilting needs.
        learns_score: u(z, t, t) is the velocity of data and independent Gaussian noise on
            straight lines, so that −(z + (1 − t) u) / t is the score of their marginal.
        network_options: what the policy must build its network with, by option.
        noise: the distribution of the noise that :meth:`sample` starts from.
        default_steps: network evaluations of :meth:`sample` where none are asked for.
        step_choices: the numbers of network evaluations that :meth:`sample` can do.
    """

    needs_null: bool = False
    teacher: TeacherOptions | None = None
    predicts: str = "average_velocity"
    needs_average: bool = False
    progress: float = 0.0
    stochastic: bool = True
    learns_flow_map: bool = False
    learns_score: bool = True
    network_options: Mapping[str, bool] = {}
    noise: Noise = Noise()
    default_steps: int = 1
    step_choices: range = range(1, sys.maxsize)

    @property
    def needs_teacher(self) -> bool:
        """Whether :meth:`loss` asks for a teacher's velocity now."""
        return self.teacher is not None

    def loss(
        self, velocity: Velocity, actions: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, Diagnostics]:
        """Returns the scalar loss on normalised action chunks (B, Th, A), and diagnostics."""
        raise NotImplementedError(f"{type(self).__name__} must implement loss()")

    def sample(
        self,
        velocity: Velocity,
        noise: torch.Tensor,
        steps: int | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Turns noise (B, Th, A) into action chunks with ``steps`` network evaluations.

        Jumps along a uniform grid from t = 1 to t = 0: z_r = z_t − (t − r) u(z_t, r, t).

        Args:
            velocity: u.
            noise: (B, Th, A), drawn by the objective's ``noise``.
            steps: NFE; None takes the objective's default.
            generator: for samplers that draw more noise on their way.

        Raises:
            ConfigError: steps is none of the objective's choices.
        """
        steps = self.check_steps(steps)
        grid = torch.linspace(1, 0, steps + 1, device=noise.device, dtype=noise.dtype)
        z = noise
        for t, r in zip(grid[:-1], grid[1:], strict=True):
            ones = torch.ones(z.shape[0], device=z.device, dtype=z.dtype)
            z = self.noise.contain(z - (t - r) * velocity(z, r * ones, t * ones))
        return z

    def draws_while_sampling(self, steps: int) -> bool:
        """Whether :meth:`sample` with so many steps draws more noise than it is given."""
        return False

    def at_scale(self, velocity: Velocity, scale: float | None = None) -> Velocity:
        """Returns the velocity at a guidance scale; None takes the objective's own.

        Raises:
            ConfigError: the network does not take the scale as an input.
        """
        if scale is not None:
            raise ConfigError(
                "guidance_scale needs an objective whose network takes it as an input",
                received=scale,
                remedy="train with objective=improved_meanflow objective.scale_input.active=true",
            )
        return velocity

    def check_steps(self, steps: int | None) -> int:
        """Returns ``steps``, or the default for None.

        Raises:
            ConfigError: the objective cannot sample with so many network evaluations.
        """
        if steps is None:
            return self.default_steps
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
            raise ConfigError("steps must be a whole number of at least 1", received=steps)
        if steps not in self.step_choices:
            raise ConfigError(
                f"steps of this {type(self).__name__} must be {_in_words(self.step_choices)}",
                received=steps,
                remedy=f"leave steps out to get {self.default_steps}",
            )
        return steps


def _in_words(choices: range) -> str:
    if len(choices) == 1:
        return str(choices[0])
    if choices.step > 1:
        return f"a multiple of {choices.step}"
    return f"from {choices[0]} to {choices[-1]}"


def at_time(value: float, like: torch.Tensor) -> torch.Tensor:
    """Returns the time ``value`` for every row of ``like`` (B, …), (B,)."""
    return torch.full((like.shape[0],), value, device=like.device, dtype=like.dtype)


def per_row(time: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Returns times (B,) shaped to multiply ``like`` (B, …)."""
    return time.view(-1, *[1] * (like.ndim - 1))


def squares_by_region(residual: torch.Tensor, r: torch.Tensor, t: torch.Tensor) -> Diagnostics:
    """Mean squared residual (B, Th, A) overall and by region of (r, t), which weights hide."""
    squares = residual.square().flatten(1).mean(dim=1)
    regions = {
        "equal": r == t,
        "apart": (r < t) & ~((r == 0) & (t == 1)),
        "end": (r == 0) & (t == 1),
    }
    diagnostics = {"mse": squares.mean()}
    for name, rows in regions.items():
        if rows.any():
            diagnostics[f"mse_{name}"] = squares[rows].mean()
    return diagnostics
