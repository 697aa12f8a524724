"""What a check is: it sees every array once, block by block, and tells the log what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mfpolicy.data.checking.findings import FindingLog, code
from mfpolicy.data.checking.limits import CheckLimits
from mfpolicy.data.checking.survey import Survey
from mfpolicy.errors import DataError
from mfpolicy.registry import Registry

CORRUPT = code(
    "chunk-corrupt", "error", "every chunk decodes, and its checksum is right",
    "restore the file from a copy, or leave the episode out",
)  # fmt: skip

_BLOCK_BYTES = 32 << 20


@dataclass(frozen=True)
class Block:
    """Steps of one episode that lie side by side.

    Attributes:
        array: name of the array. episode: its number. row: first of the steps in the dataset.
        step: first of the steps in the episode. values: (n, ...). ends: whether the episode does.
    """

    array: str
    episode: int
    row: int
    step: int
    values: np.ndarray
    ends: bool

    @property
    def path(self) -> str:
        """The array as a path in the dataset."""
        return f"data/{self.array}"

    def numbers(self) -> np.ndarray:
        """The values as (n, channels) float64."""
        return self.values.reshape(len(self.values), -1).astype(np.float64)


class Check:
    """One family of checks; sees the arrays one after the other, each in the order of its steps.

    Args:
        survey: the dataset. limits: from where on something is damage. log: hears of it.
    """

    def __init__(self, survey: Survey, limits: CheckLimits, log: FindingLog) -> None:
        self.survey, self.limits, self.log = survey, limits, log

    def wants(self, array: str) -> bool:
        """Whether it looks at ``array``."""
        raise NotImplementedError

    def look(self, block: Block) -> None:
        """Looks at a block."""
        raise NotImplementedError

    def finish_array(self, array: str) -> None:
        """Called when an array has been seen."""

    def finish(self) -> None:
        """Called when every array has been seen."""

    def is_image(self, array: str) -> bool:
        """Whether ``array`` holds images: height and width, with or without channels."""
        stored = self.survey.arrays[array].array
        return array not in ("point_cloud", "color") and (
            stored.ndim == 4 or (stored.ndim == 3 and "depth" in array)
        )


CHECKS: Registry[Check] = Registry("check")
"""The families of checks by name."""


def blocks(survey: Survey, name: str, log: FindingLog) -> Iterator[Block]:
    """Yields ``data/<name>`` episode by episode, every chunk decoded once, the damaged left out.

    A block follows the one before it unless a damaged chunk lies between them.
    """
    for first, values in _rows(survey, name, log):
        stop = first + len(values)
        row = first
        for episode in survey.touched(first, stop):
            start, end = survey.bounds(episode)
            last = min(end, stop)
            yield Block(
                name, episode, row, row - start, values[row - first : last - first], last == end
            )
            row = last


def _rows(survey: Survey, name: str, log: FindingLog) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the first row and the values of whole chunks."""
    stored, size = survey.arrays[name], survey.arrays[name].rows_per_chunk
    damaged = {fault.row for fault in survey.faults.get(name, [])}
    many = max(1, _BLOCK_BYTES // max(1, size * stored.row_bytes)) * size
    for start in range(0, survey.rows, many):
        stop = min(survey.rows, start + many)
        if not damaged.intersection(range(start, stop, size)):
            try:
                yield start, stored.read(start, stop)
                continue
            except DataError:
                pass  # which of them it was is found one by one
        for first in range(start, stop, size):
            if first in damaged:
                continue
            last = min(first + size, survey.rows)
            try:
                values = stored.read(first, last)
            except DataError as error:
                episode, step = survey.place(first)
                if episode is None:  # behind the last episode, of which the ends tell
                    continue
                log.add(
                    CORRUPT, error.rule.rpartition(": ")[2] + f" (chunk {first // size}, steps "
                    f"{first} to {last - 1} of the dataset)",
                    array=f"data/{name}", episode=episode, step=step, steps=last - first,
                    spoils=survey.touched(first, last),
                )  # fmt: skip
                continue
            yield first, values
