"""What the commands of ``mfpolicy data`` take that look at a dataset: info and check."""

from __future__ import annotations

from dataclasses import dataclass

from mfpolicy.config.checks import at_least, not_empty, one_of
from mfpolicy.errors import ConfigError


@dataclass(frozen=True)
class DataInfoConfig:
    """Everything ``mfpolicy data info`` takes; ``configs/data_info.yaml`` says what it does."""

    dataset: str
    json: bool
    values: str
    bins: int

    def __post_init__(self) -> None:
        not_empty(dataset=self.dataset)
        one_of(("training", "all", "none"), values=self.values)
        at_least(1, bins=self.bins)
        if self.bins > 1000:
            raise ConfigError("bins must be at most 1000", received=self.bins)


@dataclass(frozen=True)
class LimitsConfig:
    """From where on something counts as damage; ``configs/data_check.yaml`` says what is what."""

    jump_factor: float
    spike_factor: float
    max_state_rate: float | None
    max_action_rate: float | None
    max_magnitude: float
    max_repeats: int
    min_points_share: float
    crop_tolerance_m: float
    min_steps: int
    max_gap_factor: float
    rate_tolerance: float


@dataclass(frozen=True)
class DataCheckConfig:
    """Everything ``mfpolicy data check`` takes; ``configs/data_check.yaml`` says what it does."""

    dataset: str
    json: bool
    strict: bool
    fix: bool
    out: str | None
    limits: LimitsConfig

    def __post_init__(self) -> None:
        not_empty(dataset=self.dataset, out=self.out)
        if self.fix and self.out is None:
            raise ConfigError(
                "fix=true must be given a path for the repaired dataset",
                remedy="add out=…; the damaged one is never written to",
            )
        if self.out is not None and not self.fix:
            raise ConfigError("out is only written with fix=true", received=self.out)
