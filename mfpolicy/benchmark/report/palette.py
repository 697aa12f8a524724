"""Colors, marks and canvas that all figures of a report share."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from mfpolicy.evaluation.aggregates import MeanRate

# Okabe & Ito (2008), told apart with any color vision, without their yellow, which is lost on
# white, and with gray for black, on which no whisker shows. The last three, of Tol's muted scheme,
# are less far apart from these: bars get a hatch, lines a dash, and marks are all different.
COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F"),
    *("#882255", "#999933", "#332288"),
)
PLAIN = 7
MARKS = "osD^vPX*<>"
HATCHES = ("", "////", "....")
DASHES = ("-", "--", ":")
DPI = 110


def color(place: int) -> str:
    """Of the method in this column."""
    return COLORS[place % len(COLORS)]


def mark(place: int) -> str:
    """Of the method in this column; with ten methods no two are alike."""
    return MARKS[place % len(MARKS)]


def hatch(place: int) -> str:
    """Of a bar."""
    return HATCHES[place // PLAIN % len(HATCHES)]


def dash(place: int) -> str:
    """Of a line."""
    return DASHES[place // PLAIN % len(DASHES)]


def canvas(width_inch: float, height_inch: float) -> Any:
    """A figure of its own, without pyplot: no window system, no state shared with the caller."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inch, height_inch), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png(figure: Any) -> bytes:
    """The figure as a file."""
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def plain(text: str) -> str:
    """A name that matplotlib shows as it is: a dollar sign begins no formula."""
    return "".join(sign if sign.isprintable() else "?" for sign in text).replace("$", r"\$")


def whiskers(rates: Sequence[MeanRate]) -> list[list[float]]:
    """Distances to the ends of the intervals, percent, as matplotlib takes them: (2, N)."""
    return [
        [100 * max(each.rate - each.interval[0], 0) for each in rates],
        [100 * max(each.interval[1] - each.rate, 0) for each in rates],
    ]
