"""A table, a figure and a section of a report, before they are Markdown or HTML."""

from __future__ import annotations

from dataclasses import dataclass, field

NOTHING = "–"


@dataclass(frozen=True)
class Entry:
    """What stands in one place of a table.

    Attributes:
        text: to read. value: to sort by, None where there is none. name: whether it is a name.
        strong: whether it is emphasized.
    """

    text: str
    value: float | None = None
    name: bool = False
    strong: bool = False


EMPTY = Entry(NOTHING)


@dataclass(frozen=True)
class Table:
    """Rows below a head; every row has as many entries as the head.

    Attributes:
        caption: what it shows, a sentence.
        head: of the columns. rows: of it.
        folded: whether only the caption shows until a reader opens it.
    """

    caption: str
    head: tuple[Entry, ...]
    rows: tuple[tuple[Entry, ...], ...]
    folded: bool = False

    def __post_init__(self) -> None:
        if any(len(row) != len(self.head) for row in self.rows):
            raise ValueError("every row of a table has an entry below each of its head's")

    def is_number(self, column: int) -> bool:
        """Whether a column holds numbers."""
        return any(row[column].value is not None for row in self.rows)


@dataclass(frozen=True)
class Picture:
    """A figure: PNG, what the file is called, and what it shows."""

    name: str
    png: bytes
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        title: of it. text: paragraphs before its tables. points: a list after them.
        tables, pictures: of it.
    """

    title: str
    text: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = field(default=())


def name(text: str) -> Entry:
    """A name of a method or task."""
    return Entry(text, name=True)


def percent(rate: float, interval: tuple[float, float] | None = None) -> str:
    """A rate in percent, with its interval.

    Example:
        >>> percent(0.95, (0.8882, 0.9784))
        '95.0 [88.8, 97.8]'
    """
    text = f"{100 * rate:.1f}"
    return text if interval is None else f"{text} [{_bounds(interval, '')}]"


def points(difference: float, interval: tuple[float, float]) -> str:
    """A difference in percentage points, with its interval.

    Example:
        >>> points(0.05, (-0.01, 0.1))
        '+5.0 [-1.0, +10.0]'
    """
    return f"{_signed(difference)} [{_signed(interval[0])}, {_signed(interval[1])}]"


def p_value(value: float) -> str:
    """A p-value, to two significant figures.

    Example:
        >>> p_value(0.0421), p_value(1e-9)
        ('0.042', '< 0.0001')
    """
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def seconds(value: float) -> str:
    """A time in a readable unit.

    Example:
        >>> seconds(42.0), seconds(5400.0)
        ('42 s', '90 min')
    """
    return f"{value:.0f} s" if value < 300 else f"{value / 60:.0f} min"


def _bounds(interval: tuple[float, float], sign: str) -> str:
    return ", ".join(f"{100 * bound:{sign}.1f}" for bound in interval)


def _signed(value: float) -> str:
    # Rounded first: -0.0 would stand there for what is nothing.
    return f"{round(100 * value, 1) + 0.0:+.1f}"
