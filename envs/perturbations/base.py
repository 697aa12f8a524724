"""What every perturbation is: hooks that change nothing, and draws that the seed alone decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mfpolicy.registry import Registry

if TYPE_CHECKING:
    from envs.simulation import Simulation


class Perturbation:
    """Something that an evaluation changes; a subclass overrides the hooks that it needs.

    One number of each says how much it changes. It changes nothing at 0, or at 1 where it is
    called ``factor``. Draws depend on the episode's seed and on the control step alone, so that
    whoever is evaluated on a seed, however often it looks, is shown the same. M pixels, P points.

    Attributes:
        name: registered.
        believed: whether the camera is still believed where it was before `camera_offset_m`.
    """

    name: ClassVar[str]
    number: ClassVar[str]
    """Name of the option that says how much."""

    believed: ClassVar[bool] = False

    _seed = _step = 0

    @property
    def off(self) -> bool:
        """Whether nothing is changed."""
        return getattr(self, self.number) == (1 if self.number == "factor" else 0)

    def to_dict(self) -> dict[str, Any]:
        """Name and every option, as `envs.perturbations.build` takes them."""
        options = PERTURBATIONS.options(self.name)
        return {"name": self.name, **{option: getattr(self, option) for option in options}}

    def prepare(self, simulation: Simulation) -> None:
        """Changes the task, once and before its first episode.

        Raises:
            ConfigError: it cannot be done with this task.
        """

    def begin(self, seed: int) -> None:
        """Starts the episode of ``seed``."""
        self._seed, self._step = seed, 0

    def at(self, step: int) -> None:
        """What comes next is of this control step of the episode."""
        self._step = step

    def camera_offset_m(self) -> NDArray[np.float64]:
        """(3,) how far the camera stands from its place in this episode, world frame, metres."""
        return np.zeros(3)

    def points(self, points_world: NDArray[np.float32]) -> NDArray[np.float32]:
        """(M, 3) → (M, 3), the point of every pixel before the crop, metres."""
        return points_world

    def kept(
        self, points_world: NDArray[np.float32], inside: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """(M,) which of the points ``inside`` the crop box are there; at least one of them."""
        return inside

    def sampled(self, cloud: NDArray[np.float32]) -> NDArray[np.float32]:
        """(P, 3+C) → (P, 3+C), the finished cloud."""
        return cloud

    def of_episode(self) -> np.random.Generator:
        """The generator of what holds for the whole episode."""
        return np.random.default_rng((self._seed, 0))

    def of_step(self) -> np.random.Generator:
        """The generator of what is drawn anew at every control step."""
        return np.random.default_rng((self._seed, 1 + self._step))


PERTURBATIONS: Registry[Perturbation] = Registry("perturbation")
"""Every perturbation by its name, which is also that of its file in configs/perturbation."""
