"""What ``mfpolicy data convert`` takes."""

from __future__ import annotations

from dataclasses import dataclass

from mfpolicy.config.checks import at_least, not_empty, one_of


@dataclass(frozen=True)
class DataConvertConfig:
    """Everything ``mfpolicy data convert`` takes; ``configs/data_convert.yaml`` says what it does.

    Attributes:
        format: a registered format, or auto.
        to: mfpolicy, or a registered format to write.
        layout: a YAML file for formats that must be told what is where.
        task: suite/task; None lets the name of the source say.
    """

    source: str
    out: str
    format: str
    to: str
    layout: str | None
    task: str | None
    keep: str
    points: int | None
    store_extras: bool

    def __post_init__(self) -> None:
        not_empty(source=self.source, out=self.out, format=self.format, to=self.to)
        not_empty(task=self.task, layout=self.layout)
        one_of(("success", "all"), keep=self.keep)
        at_least(1, points=self.points)
