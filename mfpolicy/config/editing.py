"""What the commands of ``mfpolicy data`` take that make a dataset from datasets."""

from __future__ import annotations

from dataclasses import dataclass

from mfpolicy.config.checks import above_zero, at_least, not_empty, one_of


@dataclass(frozen=True)
class DataMergeConfig:
    """Everything ``mfpolicy data merge`` takes; ``configs/data_merge.yaml`` says what it does.

    Attributes:
        sources: paths with commas between them.
    """

    sources: str
    out: str
    arrays: str
    duplicates: str

    def __post_init__(self) -> None:
        not_empty(sources=self.sources, out=self.out)
        one_of(("same", "common"), arrays=self.arrays)
        one_of(("refuse", "skip", "keep"), duplicates=self.duplicates)


@dataclass(frozen=True)
class DataSplitConfig:
    """Everything ``mfpolicy data split`` takes; ``configs/data_split.yaml`` says what it does."""

    source: str
    out: str
    parts: str
    seed: int | None

    def __post_init__(self) -> None:
        not_empty(source=self.source, out=self.out, parts=self.parts)
        at_least(0, seed=self.seed)


@dataclass(frozen=True)
class DataSubsetConfig:
    """Everything ``mfpolicy data subset`` takes; ``configs/data_subset.yaml`` says what it does."""

    source: str
    out: str
    episodes: str
    success: bool | None
    first: int | None
    arrays: str

    def __post_init__(self) -> None:
        not_empty(source=self.source, out=self.out, episodes=self.episodes, arrays=self.arrays)
        at_least(1, first=self.first)


@dataclass(frozen=True)
class DataResampleConfig:
    """Everything ``mfpolicy data resample`` takes; ``configs/data_resample.yaml`` explains it.

    Attributes:
        limit: None takes 1 where the task is one that can be simulated, else knows of no limit.
    """

    source: str
    out: str
    points: int | None
    method: str
    factor: int | None
    rate_hz: float | None
    actions: str
    limit: float | None
    beyond: str

    def __post_init__(self) -> None:
        not_empty(source=self.source, out=self.out, actions=self.actions)
        at_least(1, points=self.points)
        at_least(2, factor=self.factor)
        for name in ("rate_hz", "limit"):
            if getattr(self, name) is not None:
                above_zero(**{name: getattr(self, name)})
        one_of(("prefix", "fps"), method=self.method)
        one_of(("refuse", "clip", "keep"), beyond=self.beyond)


@dataclass(frozen=True)
class DataRecomputeConfig:
    """Everything ``mfpolicy data recompute`` takes; ``configs/data_recompute.yaml`` explains it."""

    source: str
    out: str
    crop_min: tuple[float, float, float] | None
    crop_max: tuple[float, float, float] | None
    points: int | None
    trust: bool

    def __post_init__(self) -> None:
        not_empty(source=self.source, out=self.out)
        at_least(1, points=self.points)
