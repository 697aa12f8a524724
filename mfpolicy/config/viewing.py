"""What ``mfpolicy data view`` takes."""

from __future__ import annotations

from dataclasses import dataclass

from mfpolicy.config.checks import at_least, not_empty


@dataclass(frozen=True)
class DataViewConfig:
    """Everything ``mfpolicy data view`` takes; ``configs/data_view.yaml`` says what it does.

    Attributes:
        out: None opens the viewer.
    """

    dataset: str
    out: str | None
    episode: str
    points: int | None
    every: int

    def __post_init__(self) -> None:
        not_empty(dataset=self.dataset, out=self.out, episode=self.episode)
        at_least(1, points=self.points, every=self.every)
