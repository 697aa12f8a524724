"""Figures of what changes along something: learning curves, demonstrations, perturbations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mfpolicy.benchmark.report.palette import canvas, color, dash, mark, plain, png, whiskers
from mfpolicy.benchmark.report.robustness import Perturbed, Severity
from mfpolicy.benchmark.report.series import Series

_PANELS = 3
"""Most panels in a row."""


def draw_series(series: Series, methods: Sequence[str], xlabel: str, *, ticks: bool) -> bytes:
    """A line with intervals for each method.

    Args:
        series: what to draw.
        methods: columns of the report, which say whose color is whose.
        xlabel: name of the axis.
        ticks: whether every place gets its number on a logarithmic axis, as few of them do.
    """
    figure = canvas(7.5, 4.2)
    axes = figure.subplots()
    for method, line in series.points.items():
        place = _place(methods, method)
        means = list(line.values())
        axes.errorbar(
            list(line), [100 * each.rate for each in means], yerr=whiskers(means),
            marker=mark(place), color=color(place), capsize=2, linewidth=1.4, elinewidth=0.8,
            linestyle=dash(place),
            label=plain(method),
        )  # fmt: skip
    if ticks:
        places = sorted({x for line in series.points.values() for x in line})
        axes.set_xscale("log")
        axes.set_xticks(places, [str(x) for x in places])
        axes.minorticks_off()
    else:
        axes.set_xlim(left=0)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("mean success, %")
    axes.set_ylim(-2, 103)
    axes.grid(alpha=0.25)
    figure.legend(loc="outside right center", frameon=False)
    return png(figure)


def draw_robustness(rows: Sequence[Perturbed], methods: Sequence[str]) -> bytes:
    """Change of success under each perturbation, percentage points, with its interval."""
    names = list(dict.fromkeys(row.name for row in rows))
    drawn = [method for method in methods if any(row.method == method for row in rows)]
    figure = canvas(8.5, 0.8 + 0.24 * len(names) * (len(drawn) + 1))
    axes = figure.subplots()
    height = 0.84 / len(drawn)
    for row in rows:
        place = drawn.index(row.method)
        at = names.index(row.name) + (place - (len(drawn) - 1) / 2) * height
        column = _place(methods, row.method)
        low, high = (100 * end for end in row.change.interval)
        axes.hlines(at, low, high, color=color(column), linewidth=1.6)
        axes.plot(100 * row.change.difference, at, mark(column), color=color(column), markersize=6)
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.set_yticks(range(len(names)), [plain(name.replace("_", " ")) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("change of success on the same initial states, percentage points")
    axes.grid(axis="x", alpha=0.25)
    figure.legend(_marks(drawn, methods), [plain(m) for m in drawn],
                  loc="outside right center", frameon=False)  # fmt: skip
    return png(figure)


def draw_severities(found: Sequence[Severity], methods: Sequence[str]) -> bytes:
    """Success against how much is changed: a panel for each perturbation, a line for each method.

    Args:
        found: what to draw.
        methods: columns of the report, which say whose color is whose.
    """
    columns = min(len(found), _PANELS)
    rows = -(-len(found) // columns)
    figure = canvas(2.9 * columns + 1.6, 2.9 * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flat
    for severity, axes in zip(found, panels, strict=False):  # leaves the other panels
        _severity_panel(axes, severity, methods)
    for axes in list(panels):
        axes.set_axis_off()
    figure.supylabel("mean success, %", fontsize=10)
    drawn = [method for method in methods if any(method in each.points for each in found)]
    figure.legend(_marks(drawn, methods), [plain(m) for m in drawn],
                  loc="outside right center", frameon=False)  # fmt: skip
    return png(figure)


def _severity_panel(axes: Any, severity: Severity, methods: Sequence[str]) -> None:
    for method, line in severity.points.items():
        place, means = _place(methods, method), list(line.values())
        axes.errorbar(
            list(line), [100 * each.rate for each in means], yerr=whiskers(means),
            marker=mark(place), color=color(place), capsize=2, linewidth=1.4, elinewidth=0.8,
            linestyle=dash(place), label=plain(method),
        )  # fmt: skip
    others = "".join(f", {value}" for value in severity.others.values())
    axes.set_title(plain(severity.perturbation.replace("_", " ") + others), fontsize=10)
    values = sorted({value for line in severity.points.values() for value in line})
    axes.set_xticks(values, [f"{value:g}" for value in values])
    name, _, unit = severity.option.rpartition("_")
    axes.set_xlabel(plain(f"{name}, {unit}" if name else unit))
    axes.set_ylim(-2, 103)
    axes.grid(alpha=0.25)


def _marks(drawn: Sequence[str], methods: Sequence[str]) -> list[Any]:
    from matplotlib.lines import Line2D

    columns = [_place(methods, method) for method in drawn]
    return [Line2D([], [], color=color(each), marker=mark(each)) for each in columns]


def _place(methods: Sequence[str], method: str) -> int:
    return methods.index(method) if method in methods else len(methods)
