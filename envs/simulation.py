"""What a task suite supplies: the physics of one task, without cameras, clouds or Gymnasium."""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled names have no stubs)
from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import mujoco


class Outcome(NamedTuple):
    """What one control step gave.

    Attributes:
        reward: the task's reward.
        success: the task's success flag.
        terminated: whether the episode ended before its horizon.
        flags: further flags by name, for example another publication's rule of success; the same
            names at every step.
    """

    reward: float
    success: bool
    terminated: bool = False
    flags: Mapping[str, bool] = MappingProxyType({})


class Expert(Protocol):
    """Who demonstrates in place of a task's own expert.

    Attributes:
        sizes: F of the full state it is given, and A of the action it answers with.
    """

    sizes: tuple[int, int]

    def action(self, full_state: NDArray[np.float64]) -> NDArray[np.float32]:
        """(A,) action within [-1, 1] for the simulator's own observation (F,)."""
        ...


class Simulation(Protocol):
    """One task in MuJoCo. S state dimensions, A action dimensions, F dimensions of the full state.

    After `reset` and `step`, ``data`` must be consistent (``mj_forward``), since it is rendered
    as it stands. `reset` with a seed must lead to the same state bit for bit whatever happened
    before, without reading or disturbing numpy's global generator.
    """

    model: mujoco.MjModel
    data: mujoco.MjData

    def reset(self, seed: int) -> None:
        """Starts the episode of ``seed``."""
        ...

    def step(self, action: NDArray[np.float32]) -> Outcome:
        """Applies an action (A,) in [-1, 1] for one control step; never raises for its length."""
        ...

    def agent_pos(self) -> NDArray[np.float32]:
        """(S,) what the policy knows of the robot itself."""
        ...

    def full_state(self) -> NDArray[np.float64]:
        """(F,) everything the simulator's own observation tells."""
        ...

    def expert_action(self) -> NDArray[np.float32]:
        """(A,) the expert's action in the current state, within [-1, 1]."""
        ...

    def show_goal(self) -> None:
        """Moves whatever marks the goal to where the goal is; called before each image."""
        ...

    def close(self) -> None:
        """Frees what the simulation holds."""
        ...


@runtime_checkable
class Restorable(Protocol):
    """A simulation that recordings of others can be replayed in."""

    def restore(self, state: Mapping[str, NDArray[np.float64]]) -> None:
        """Starts an episode in a state that was stored, arrays by name.

        Raises:
            ConfigError: an array is missing, of another shape, or not finite.
        """
        ...


@runtime_checkable
class Widenable(Protocol):
    """A simulation that can place objects and goals in wider ranges than its own."""

    def widen(self, factor: float) -> None:
        """Places objects and goals in ``factor`` times the ranges of the task from now on.

        Each range grows about its own middle, and a seed keeps its place within it. What stands
        on something keeps its height.

        Raises:
            ConfigError: the task has no such range.
        """
        ...
