"""The robot's numbers as a CSV file: columns stamp_s, state_0, …, action_0, …."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np

from mfpolicy.data.converting.foreign import MAX_STEPS, read_text
from mfpolicy.errors import DataError

_COLUMN = re.compile(r"(state|action)_(\d{1,5})\Z")


def read_table(file: Path) -> dict[str, np.ndarray]:
    """``state`` (L, S), ``action`` (L, A), ``stamps_s`` (L,) and ``success`` (L,), as far as there.

    Raises:
        DataError: a column is unknown or missing, or a value is no number.
    """
    text = read_text(file).removeprefix("\ufeff")  # spreadsheets put it before the first name
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise DataError(f"{file} must be a table of comma-separated values: {error}") from error
    if not 2 <= len(rows) <= MAX_STEPS + 1:
        raise DataError(f"{file} must have a line of names and a line a step", received=len(rows))
    names = [name.strip() for name in rows[0]]
    try:
        values = np.array([[float(cell) for cell in row] for row in rows[1:] if row])
    except ValueError as error:
        raise DataError(f"every value of {file} must be a number: {error}") from error
    if values.ndim != 2 or values.shape[1] != len(names):
        raise DataError(f"every line of {file} must have {len(names)} values")
    found: dict[str, np.ndarray] = {}
    for kind in ("state", "action"):
        matches = [(column, _COLUMN.match(name)) for column, name in enumerate(names)]
        mine = {int(m[2]): column for column, m in matches if m and m[1] == kind}
        if sorted(mine) != list(range(len(mine))) or not mine:
            raise DataError(
                f"{file} must have the columns {kind}_0, {kind}_1, … without a gap", received=names
            )
        found[kind] = values[:, [mine[number] for number in range(len(mine))]]
    for name, key in (("stamp_s", "stamps_s"), ("success", "success")):
        if name in names:
            found[key] = values[:, names.index(name)]
    unknown = [n for n in names if n not in ("stamp_s", "success") and not _COLUMN.match(n)]
    if unknown or len(set(names)) != len(names):
        raise DataError(
            f"{file} must have the columns stamp_s, success, state_N, action_N, each once",
            received=unknown or names,
        )
    return found
