"""What ``mfpolicy benchmark report`` takes."""

from __future__ import annotations

from dataclasses import dataclass

from mfpolicy.config.bench import names
from mfpolicy.config.checks import at_least, not_empty


@dataclass(frozen=True)
class BenchmarkReportConfig:
    """Everything ``mfpolicy benchmark report`` takes; ``configs/benchmark_report.yaml`` says what.

    Attributes:
        records, methods, tasks: several are separated by commas.
        suite: name of a file in configs/benchmark.
        demonstrations: None takes the number that most cells have.
        baseline: None takes mp1 where it has records.
    """

    records: str
    out: str
    methods: str | None
    suite: str | None
    tasks: str | None
    demonstrations: int | None
    baseline: str | None
    title: str

    def __post_init__(self) -> None:
        not_empty(records=self.records, out=self.out, suite=self.suite, baseline=self.baseline)
        at_least(1, demonstrations=self.demonstrations)
        for key in ("records", "methods", "tasks"):
            if getattr(self, key) is not None:
                names(key, getattr(self, key))
