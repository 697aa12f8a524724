"""The benchmark: methods × tasks × seeds, a small record of each cell, tables made of records."""

from mfpolicy.benchmark.record import (
    CellRecord,
    Collected,
    CurvePoint,
    Evaluation,
    Outcome,
    Trained,
    read_records,
    record_path,
)

__all__ = [
    "CellRecord",
    "Collected",
    "CurvePoint",
    "Evaluation",
    "Outcome",
    "Trained",
    "read_records",
    "record_path",
]
