"""From where on something counts as damage."""

from __future__ import annotations

from dataclasses import dataclass

from mfpolicy.errors import ConfigError


@dataclass(frozen=True)
class CheckLimits:
    """From where on something counts as damage; the defaults find nothing in sound recordings.

    Attributes:
        jump_factor: a change of the state from step to step is a jump beyond this multiple of the
            95th percentile of its channel's changes.
        spike_factor: an action is a spike beyond this multiple of the 95th percentile of its
            channel's magnitudes.
        max_state_rate, max_action_rate: changes per second beyond which it is a jump whatever the
            data; None sets no such limit. They need a control rate.
        max_magnitude: largest plausible absolute value.
        max_repeats: equal frames in a row that are still plausible.
        min_points_share: share of a cloud's points that must differ from one another.
        crop_tolerance_m: how far a point may lie outside the crop box, metres.
        min_steps: fewer steps make no episode.
        max_gap_factor: a step that took more than this multiple of the median is a gap.
        rate_tolerance: share by which the stamps may differ from the control rate.

    Raises:
        ConfigError: a limit is out of range.
    """

    jump_factor: float = 8.0
    spike_factor: float = 5.0
    max_state_rate: float | None = None
    max_action_rate: float | None = None
    max_magnitude: float = 1e6
    max_repeats: int = 5
    min_points_share: float = 0.1
    crop_tolerance_m: float = 1e-3
    min_steps: int = 5
    max_gap_factor: float = 2.5
    rate_tolerance: float = 0.1

    def __post_init__(self) -> None:
        for name in ("jump_factor", "spike_factor", "max_gap_factor"):
            if not getattr(self, name) > 1:
                raise ConfigError(f"{name} must be above 1", received=getattr(self, name))
        for name in ("max_state_rate", "max_action_rate", "max_magnitude", "rate_tolerance"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} must be above 0", received=value)
        if not 0 <= self.min_points_share <= 1:
            raise ConfigError(
                "min_points_share must lie from 0 to 1", received=self.min_points_share
            )
        for name in ("max_repeats", "min_steps", "crop_tolerance_m"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must be at least 0", received=getattr(self, name))
