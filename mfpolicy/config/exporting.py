"""What ``mfpolicy export`` takes."""

from __future__ import annotations

from dataclasses import dataclass

from mfpolicy.config.checks import at_least, not_empty, one_of

FORMATS = ("onnx", "torch", "folder")
PRECISIONS = ("float32", "float16", "int8")


@dataclass(frozen=True)
class ExportConfig:
    """Everything ``mfpolicy export`` takes; ``configs/export.yaml`` says what each value does."""

    run: str
    out: str | None
    format: str
    precision: str
    steps: int | None
    noise_scale: float
    guidance_scale: float | None
    n_action_steps: int | None
    task: str | None

    def __post_init__(self) -> None:
        not_empty(run=self.run, out=self.out, task=self.task)
        one_of(FORMATS, format=self.format)
        one_of(PRECISIONS, precision=self.precision)
        at_least(1, steps=self.steps, n_action_steps=self.n_action_steps)
        at_least(0, noise_scale=self.noise_scale)
