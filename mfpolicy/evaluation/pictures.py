"""Pictures of an evaluation: the point cloud that the policy sees, the learning curve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_RATES = ("samples_per_s",)
_BOOKKEEPING = ("step", "time", "seconds", "epoch")
_COLUMNS = 3


def draw_point_cloud(path: Path, points: np.ndarray, photo: np.ndarray | None = None) -> None:
    """Draws a cloud in space, from above and from the side: metres, equal axes, color is height.

    Args:
        path: the PNG to write.
        points: (P, 3) metres, world frame.
        photo: (H, W, 3) uint8, the same state as the camera for people sees it.
    """
    figure = _figure(16 if photo is not None else 12, 4.2)
    columns = 4 if photo is not None else 3
    if photo is not None:
        axes = figure.add_subplot(1, columns, 1)
        axes.imshow(photo)
        axes.set_axis_off()
        axes.set_title("the same state, rendered")
    first = columns - 2
    _draw_space(figure.add_subplot(1, columns, first, projection="3d"), points)
    views = (("from above", 0, 1, first + 1), ("from the side", 1, 2, first + 2))
    for title, horizontal, vertical, column in views:
        axes = figure.add_subplot(1, columns, column)
        order = np.argsort(points[:, 2])
        shown = axes.scatter(
            points[order, horizontal], points[order, vertical], c=points[order, 2], s=6
        )
        axes.set_aspect("equal")
        axes.set(xlabel="xyz"[horizontal] + " (m)", ylabel="xyz"[vertical] + " (m)", title=title)
        axes.grid(linewidth=0.3)
    figure.colorbar(shown, ax=axes, label="height z (m)", shrink=0.8)
    _save(figure, path)


def draw_learning_curve(path: Path, metrics: Sequence[dict[str, Any]]) -> None:
    """Draws every training metric against the training step, the loss first.

    Args:
        path: the PNG to write.
        metrics: the lines of metrics.jsonl, each with ``step`` and ``loss``.
    """
    names = _metric_names(metrics)
    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    figure = _figure(4.6 * columns, 3.0 * rows)
    for index, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, index + 1)
        pairs = [(line["step"], line[name]) for line in metrics if _is_number(line.get(name))]
        steps, values = np.array(pairs, dtype=float).T
        smooth = len(values) > 20 and name != "learning_rate"
        axes.plot(steps, values, linewidth=0.8, alpha=0.35 if smooth else 1.0, color="C0")
        if smooth:
            axes.plot(steps, _running_mean(values), linewidth=1.5, color="C0")
        if (values > 0).all() and values.max() > 10 * values.min():
            axes.set_yscale("log")
        axes.set(xlabel="training step", title=name.replace("_", " "))
        axes.grid(linewidth=0.3)
    _save(figure, path)


def _metric_names(metrics: Sequence[dict[str, Any]]) -> list[str]:
    seen: dict[str, None] = {"loss": None}
    for line in metrics:
        seen.update(dict.fromkeys(name for name in line if _is_number(line[name])))
    return [name for name in seen if name not in (*_RATES, *_BOOKKEEPING)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Mean over a centered window of a twentieth of the curve, shorter at its ends."""
    half = max(len(values) // 40, 1)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    low = np.maximum(np.arange(len(values)) - half, 0)
    high = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


def _draw_space(axes: Any, points: np.ndarray) -> None:
    axes.scatter(points[:, 0], points[:, 1], points[:, 2], c=points[:, 2], s=6)
    axes.set_aspect("equal")
    axes.set_box_aspect(axes.get_box_aspect(), zoom=0.85)
    axes.set(xlabel="x (m)", ylabel="y (m)")
    axes.set_title(f"what the policy sees: {len(points)} points")
    axes.locator_params(nbins=4)


def _figure(width_inch: float, height_inch: float) -> Any:
    # A Figure of its own, without pyplot: no window system and no state shared with the caller.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inch, height_inch), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    figure.savefig(partial, format="png")
    partial.replace(path)
