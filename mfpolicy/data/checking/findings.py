"""What a check says: stable codes, and a bounded list of what was found by them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from mfpolicy.data.inside import plain

Severity = Literal["error", "warning", "note"]
Fix = Literal["drop episode", "drop array", "rebuild", "scale", "nothing"]


@dataclass(frozen=True)
class Code:
    """One kind of damage.

    Attributes:
        name: stable, for programs. severity: an error spoils training or cannot be read, a warning
            is unlikely to be meant, a note is legitimate but worth knowing.
        rule: what holds in a sound dataset. remedy: what to do.
        fix: what a repair does about it.
    """

    name: str
    severity: Severity
    rule: str
    remedy: str
    fix: Fix = "drop episode"


CODES: dict[str, Code] = {}
"""Every kind of damage that is told apart, by its name."""


def code(name: str, severity: Severity, rule: str, remedy: str, fix: Fix = "drop episode") -> Code:
    """Files a new kind of damage; warnings and notes are left alone by a repair."""
    assert name not in CODES, name
    CODES[name] = Code(name, severity, rule, remedy, fix if severity == "error" else "nothing")
    return CODES[name]


@dataclass
class Finding:
    """One thing that is wrong.

    Attributes:
        code: name in ``CODES``. severity: as there.
        array: path in the dataset, for example ``data/state``; None where it is the whole.
        episode, step: where it begins; None where it has no place. steps: how many it touches.
        rule, received, remedy: what must hold, what is there, what to do.
    """

    code: str
    severity: Severity
    array: str | None
    episode: int | None
    step: int | None
    steps: int
    rule: str
    received: str
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON-able values."""
        return asdict(self)


@dataclass
class FindingLog:
    """Findings, one for each code, array and episode, and at most so many of a code.

    Attributes:
        most: findings kept of one code; more are counted. found: those kept, in their order.
        hidden: how many more there are, by code.
        spoilt: the episodes that have an error which a repair does not mend.
        factors: what the points of an episode are to be multiplied with.
    """

    most: int = 50
    found: list[Finding] = field(default_factory=list)
    hidden: dict[str, int] = field(default_factory=dict)
    spoilt: set[int] = field(default_factory=set)
    factors: dict[int, float] = field(default_factory=dict)
    _open: dict[tuple[str, str | None, int | None], Finding] = field(default_factory=dict)
    _counted: set[tuple[str, str | None, int | None]] = field(default_factory=set)  # and hidden
    _kept: dict[str, int] = field(default_factory=dict)

    def add(
        self,
        kind: Code,
        received: str,
        *,
        array: str | None = None,
        episode: int | None = None,
        step: int | None = None,
        steps: int = 1,
        spoils: Iterable[int] = (),
    ) -> None:
        """Adds what was found, or adds its steps to the finding of the same place.

        Args:
            kind: the code.
            received: what is there.
            array: path in the dataset.
            episode: number of the episode.
            step: first step of the episode that it touches.
            steps: how many.
            spoils: further episodes that it makes useless.
        """
        if kind.fix == "drop episode":
            self.spoilt.update(spoils)
            if episode is not None:
                self.spoilt.add(episode)
        place = (kind.name, array, episode)
        known = self._open.get(place)
        if known is not None and episode is not None:
            known.steps += steps
            return
        if place in self._counted:
            return
        if self._kept.get(kind.name, 0) >= self.most:
            self.hidden[kind.name] = self.hidden.get(kind.name, 0) + 1
            if episode is not None:
                self._counted.add(place)
            return
        finding = Finding(
            kind.name,
            kind.severity, array, episode, step, steps,
            kind.rule, plain(received), kind.remedy,
        )  # fmt: skip
        self._open[place] = finding
        self._kept[kind.name] = self._kept.get(kind.name, 0) + 1
        self.found.append(finding)

    def count(self, severity: Severity) -> int:
        """How many findings of ``severity`` there are, those not kept included."""
        more = sum(n for name, n in self.hidden.items() if CODES[name].severity == severity)
        return sum(finding.severity == severity for finding in self.found) + more
