"""The result of a sweep as files: sweep.json whole, sweep.csv a row a cell."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections import Counter
from typing import Any

from mfpolicy.evaluation.records import write_json, write_text
from mfpolicy.sweep.driver import SweepResult

JSON, CSV = "sweep.json", "sweep.csv"


def save_result(result: SweepResult) -> None:
    """Writes both files into the folder of the sweep."""
    rows = [dataclasses.asdict(record) for record in result.records]
    counts = Counter(record.state for record in result.records)
    write_json(result.out / JSON, {"states": dict(counts), "cells": rows})
    write_text(result.out / CSV, _csv([_flat(row) for row in rows]))


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """The swept keys become columns of their own, before the results."""
    values = row.pop("values")
    return {"name": row.pop("name"), **values, **row}


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
