"""Noise on every point of the cloud."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.perturbations.base import PERTURBATIONS, Perturbation
from mfpolicy.options import check_choice, check_range

SAMPLED, SENSOR = STAGES = ("sampled", "sensor")
MAX_STD_M = 1.0


@PERTURBATIONS.register("cloud_noise")
class CloudNoise(Perturbation):
    """Gaussian noise on x, y and z of every point, drawn anew at every control step.

    With ``sampled`` it comes last: every point that the policy sees has exactly ``std_m``, also
    beyond the crop box. A depth camera's noise is there before anything is made of its image, hence
    ``sensor``: crop and sampling follow, as on a robot. That is another and harder test. What lies
    just outside the crop box, as a table under its lower face, comes into it here and there, and
    farthest-point sampling likes what lies far out.

    Args:
        std_m: standard deviation of each coordinate, metres.
        stage: ``sampled`` or ``sensor``.

    Raises:
        ConfigError: a value is out of range.

    Example:
        >>> noise = CloudNoise(std_m=0.005)
        >>> noise.begin(10000)
        >>> f"{noise.sampled(np.zeros((1000, 3), np.float32)).std():.3f}"
        '0.005'
    """

    name = "cloud_noise"
    number = "std_m"

    def __init__(self, *, std_m: float = 0.005, stage: str = SAMPLED) -> None:
        check_range("perturbation.std_m", std_m, 0, MAX_STD_M)
        check_choice("perturbation.stage", stage, STAGES)
        self.std_m, self.stage = float(std_m), stage

    def points(self, points_world: NDArray[np.float32]) -> NDArray[np.float32]:
        """The points of all pixels, with noise."""
        return self._noisy(points_world) if self.stage == SENSOR else points_world

    def sampled(self, cloud: NDArray[np.float32]) -> NDArray[np.float32]:
        """The finished cloud, with noise."""
        return self._noisy(cloud) if self.stage == SAMPLED else cloud

    def _noisy(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        noise = self.of_step().standard_normal((len(points), 3), dtype=np.float32)
        moved = points.copy()
        moved[:, :3] += np.float32(self.std_m) * noise
        return moved
