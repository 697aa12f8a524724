"""The check of a dataset: its structure, then every array once, block by block."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mfpolicy.data.checking.base import CHECKS, blocks
from mfpolicy.data.checking.findings import Finding, FindingLog
from mfpolicy.data.checking.layout import survey
from mfpolicy.data.checking.limits import CheckLimits
from mfpolicy.data.checking.survey import Survey
from mfpolicy.data.schema import REQUIRED_ARRAYS
from mfpolicy.errors import DataError


@dataclass
class CheckReport:
    """What a check came to.

    Attributes:
        path: the dataset. findings: what is wrong, one for each code, array and episode.
        hidden: how many more findings of a code there are than the list has.
        errors, warnings, notes: numbers of findings.
        episodes, steps, arrays: what was looked at. seconds: how long it took.
        spoilt: the episodes that have an error which a repair does not mend.
        factors: what the points of an episode are to be multiplied with.
        survey: what could be read, for a repair.
    """

    path: Path
    findings: list[Finding]
    hidden: dict[str, int]
    errors: int
    warnings: int
    notes: int
    episodes: int
    steps: int
    arrays: list[str]
    seconds: float
    spoilt: set[int] = field(default_factory=set)
    factors: dict[int, float] = field(default_factory=dict)
    survey: Survey | None = None

    @property
    def sound(self) -> bool:
        """Whether there is no error."""
        return self.errors == 0

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-able values."""
        names = ("errors", "warnings", "notes", "episodes", "steps", "arrays", "hidden")
        return {
            "dataset": str(self.path),
            "sound": self.sound,
            **{name: getattr(self, name) for name in names},
            "seconds": round(self.seconds, 3),
            "episodes_spoilt": sorted(self.spoilt),
            "findings": [finding.to_dict() for finding in self.findings],
        }


def check_dataset(
    path: str | os.PathLike[str],
    *,
    limits: CheckLimits | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> CheckReport:
    """Looks for everything that is wrong with the dataset at ``path``; changes nothing.

    It works on datasets that :func:`~mfpolicy.data.reader.open_dataset` refuses: what cannot be
    read is told, the rest is looked at. A few chunks are in memory at a time, and a few bytes for
    each step. Nothing is unpickled, and no link is followed.

    Args:
        path: folder of the dataset.
        limits: from where on something counts as damage.
        progress: called with the rows done, all rows, and the name of the array.

    Raises:
        DataError: there is no dataset at the path.

    Example:
        >>> report = check_dataset("data/drawer-open.zarr")             # doctest: +SKIP
        >>> [finding.code for finding in report.findings]               # doctest: +SKIP
        ['nan']
    """
    started = time.monotonic()
    root = Path(path).expanduser()
    log = FindingLog()
    try:
        found = survey(root, log)
        checks = [CHECKS.get(name)(found, limits or CheckLimits(), log) for name in CHECKS.names()]
        for done, name in enumerate(_ordered(found)):
            _look_at(found, name, checks, log, progress, done)
        for check in checks:
            check.finish()
    except OSError as error:
        raise DataError(
            f"the dataset must be readable: {error.strerror or error}",
            received=str(root),
            remedy="check the permissions and the disk",
        ) from error
    order = {"error": 0, "warning": 1, "note": 2}
    return CheckReport(
        path=root,
        findings=sorted(log.found, key=lambda finding: order[finding.severity]),
        hidden=log.hidden,
        errors=log.count("error"),
        warnings=log.count("warning"),
        notes=log.count("note"),
        episodes=found.episode_count,
        steps=found.rows,
        arrays=_ordered(found),
        seconds=time.monotonic() - started,
        spoilt=log.spoilt,
        factors=log.factors,
        survey=found,
    )


def _ordered(found: Survey) -> list[str]:
    """States first: what stalls is judged by their motion."""
    first = [name for name in ("state", "action", "point_cloud") if name in found.arrays]
    return first + sorted(set(found.arrays) - set(REQUIRED_ARRAYS))


def _look_at(
    found: Survey,
    name: str,
    checks: list[Any],
    log: FindingLog,
    progress: Callable[[int, int, str], None] | None,
    done: int,
) -> None:
    interested = [check for check in checks if check.wants(name)]
    for block in blocks(found, name, log):
        for check in interested:
            check.look(block)
        if progress is not None:
            rows = done * found.rows + block.row + len(block.values)
            progress(rows, len(found.arrays) * found.rows, name)
    for check in interested:
        check.finish_array(name)
