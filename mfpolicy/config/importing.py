"""What ``mfpolicy import`` takes."""

from __future__ import annotations

from dataclasses import dataclass

from mfpolicy.config.checks import not_empty, one_of


@dataclass(frozen=True)
class ImportConfig:
    """Everything ``mfpolicy import`` takes; ``configs/import.yaml`` says what each value does."""

    checkpoint: str
    out: str
    kind: str
    weights: str
    task: str | None
    sampler: str

    def __post_init__(self) -> None:
        not_empty(checkpoint=self.checkpoint, out=self.out, task=self.task)
        one_of(("auto", "mp1", "flowpolicy", "dp3"), kind=self.kind)
        one_of(("ema", "model"), weights=self.weights)
        one_of(("legacy", "correct"), sampler=self.sampler)
