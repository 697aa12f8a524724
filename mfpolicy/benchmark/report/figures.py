"""Figures of success: by task, and against the time of a decision."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mfpolicy.benchmark.report.cost import Cost
from mfpolicy.benchmark.report.palette import canvas, color, hatch, mark, plain, png, whiskers
from mfpolicy.evaluation.aggregates import MeanRate
from mfpolicy.evaluation.statistics import SuccessRate

_BARS_A_ROW = 60
_WIDTH_INCH = 11.0
_LEVEL_NAMES = 6
"""Most tasks of a row whose names have room beside one another."""
_SLANT: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}


def draw_tasks(
    tasks: Sequence[str],
    methods: Sequence[str],
    rates: Mapping[tuple[str, str], SuccessRate],
) -> bytes:
    """Bars of every method on every task with their intervals, tasks in rows of equal length.

    Args:
        tasks: full names, in their order.
        methods: in the order of the columns.
        rates: (method, task) → success; one that is missing leaves a cross in its place.
    """
    most = max(1, _BARS_A_ROW // (len(methods) + 1))
    a_row = math.ceil(len(tasks) / math.ceil(len(tasks) / most))
    rows = [tasks[first : first + a_row] for first in range(0, len(tasks), a_row)]
    slanted = a_row > _LEVEL_NAMES
    figure = canvas(_WIDTH_INCH, (2.9 if slanted else 2.3) * len(rows) + 0.5)
    all_axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, row in zip(all_axes, rows, strict=True):
        for place, method in enumerate(methods):
            _bars(axes, row, place, len(methods), [rates.get((method, task)) for task in row])
        names = [plain(task.partition("/")[2] or task) for task in row]
        axes.set_xticks(range(len(row)), names, fontsize=9, **(_SLANT if slanted else {}))
        axes.set_xlim(-0.6, a_row - 0.4)
        _percent_axis(axes)
    figure.legend(
        _legend_handles(methods), [plain(method) for method in methods], loc="outside upper center",
        ncols=min(len(methods), 5), frameon=False,
    )  # fmt: skip
    return png(figure)


def _legend_handles(methods: Sequence[str]) -> list[Any]:
    from matplotlib.patches import Patch

    return [
        Patch(facecolor=color(place), hatch=hatch(place), edgecolor="white")
        for place in range(len(methods))
    ]


def _bars(
    axes: Any, row: Sequence[str], place: int, methods: int, rates: Sequence[SuccessRate | None]
) -> None:
    width = 0.84 / methods
    for index in range(len(row)):
        at, rate = index + (place - (methods - 1) / 2) * width, rates[index]
        if rate is None:
            axes.plot(at, 4, marker="x", color=color(place), markersize=6, markeredgewidth=1.6)
            continue
        low, high = rate.interval
        axes.bar(
            at, 100 * rate.rate, width * 0.92, color=color(place), hatch=hatch(place),
            edgecolor="white", linewidth=0.4,
        )  # fmt: skip
        axes.vlines(at, 100 * low, 100 * high, color="#222222", linewidth=1.1)


def draw_latency(
    methods: Sequence[str], rates: Mapping[str, MeanRate], costs: Mapping[str, Cost]
) -> bytes:
    """Mean success against the time of a decision: p50, with a line on to p99.

    Args:
        methods: in the order of the columns; those without a time are left out.
        rates: mean success over common tasks.
        costs: with the times.
    """
    figure = canvas(7.5, 4.6)
    axes = figure.subplots()
    for place, method in enumerate(methods):
        if method not in rates or not costs[method].latency_ms:
            continue
        times, rate = costs[method].latency_ms, rates[method]
        at, up = times["p50"], 100 * rate.rate
        tail = [[0.0], [max(times["p99"] - at, 0.0)]]
        axes.errorbar(
            at, up, xerr=tail, yerr=whiskers([rate]), fmt=mark(place), color=color(place),
            markersize=7, linewidth=1, alpha=0.9, label=plain(method),
        )  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(_number)
    axes.xaxis.set_minor_formatter(_sparse(axes))
    axes.set_xlabel("time of a decision, ms: mark at p50, line to p99")
    axes.set_ylabel("mean success, %")
    axes.grid(visible=True, which="both", alpha=0.25)
    figure.legend(loc="outside right center", frameon=False)
    return png(figure)


def _number(value: float, _: int) -> str:
    return f"{value:g}"


def _sparse(axes: Any) -> Any:
    """Numbers at 2 and 5 between powers of ten, where the axis spans less than two of them."""

    def label(value: float, _: int) -> str:
        low, high = axes.get_xlim()
        lead = f"{value:.0e}"[0]
        return f"{value:g}" if high < 100 * low and lead in "25" else ""

    return label


def _percent_axis(axes: Any) -> None:
    axes.set_ylim(0, 103)
    axes.set_yticks(range(0, 101, 25))
    axes.set_ylabel("success, %")
    axes.set_axisbelow(True)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
