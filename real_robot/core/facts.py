"""`PolicyFacts`: what a controller must know of a policy, wherever that runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mfpolicy.errors import ConfigError
from mfpolicy.pointcloud import PointCloudRecipe
from mfpolicy.types import XYZRGB


@dataclass(frozen=True)
class PolicyFacts:
    """What a controller must know of a policy.

    Attributes:
        n_obs_steps: To. n_action_steps: Ta. state_dim: S. action_dim: A.
        point_dim: values of a point, 3 or 6 with colors.
        points: P that it is given.
        rate_hz: at which it was trained to act; None where that is not known.
        crop_min, crop_max: corners of the box that it sees, world frame, metres.
    """

    n_obs_steps: int
    n_action_steps: int
    state_dim: int
    action_dim: int
    point_dim: int
    points: int
    rate_hz: float | None
    crop_min: tuple[float, float, float]
    crop_max: tuple[float, float, float]

    @property
    def has_color(self) -> bool:
        """Whether the policy sees the colors of points."""
        return self.point_dim == XYZRGB

    @classmethod
    def of(cls, spec: Any) -> PolicyFacts:
        """The facts of a policy's spec: an object, or a mapping as a policy server says it.

        Raises:
            ConfigError: it does not say how its point clouds were made, or keeps those of several
                cameras apart.
            DataError: that recipe does not fit.
        """
        values = spec if isinstance(spec, Mapping) else vars(spec)
        if not values.get("recipe"):
            raise ConfigError(
                "a policy on a robot must say how its point clouds were made",
                received=values.get("recipe"),
                remedy="train on a dataset that holds its recipe",
            )
        recipe = PointCloudRecipe.from_dict(values["recipe"])
        if recipe.parts > 1:
            raise ConfigError(
                "a robot gives one cloud: a policy here must take the points of its cameras joined",
                received=f"clouds=apart of {', '.join(view.camera for view in recipe.views)}",
                remedy="train on clouds=merged and join the cameras' clouds in the world frame, or "
                "run the exported folder, whose loader takes a cloud of each camera",
            )
        rate = values.get("control_rate_hz")
        return cls(
            n_obs_steps=int(values["n_obs_steps"]),
            n_action_steps=int(values["n_action_steps"]),
            state_dim=int(values["state_dim"]),
            action_dim=int(values["action_dim"]),
            point_dim=int(values["point_dim"]),
            points=int(values.get("points") or recipe.points),
            rate_hz=None if rate is None else float(rate),
            crop_min=recipe.crop_min,
            crop_max=recipe.crop_max,
        )
