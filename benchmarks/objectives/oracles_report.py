"""The table and the figure of the study on the oracles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from benchmarks.objectives.oracles_data import ORACLES

FIGURE_ORACLE = "B 1-D"
REFERENCE = "the data themselves"
_MODES, _SAMPLES = "#b0b7bf", "#d1495b"


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    budget, rows = result["budget"], result["rows"]
    lines = [
        "# Every objective on data whose law is known",
        "",
        f"The same multilayer perceptron ({budget['depth']} x {budget['width']}), batches of "
        f"{budget['batch']}, {budget['steps']} steps and seed for all; each with the options of "
        "its file in `configs/objective`, teacher-based ones after the flow-matching network of "
        "this table. What is measured is the averaged network. Errors are means over eight "
        "conditions with 1000 samples each:",
        "",
        "- mean: root mean square error, in standard deviations of the data;",
        "- std: relative error of the standard deviation (-100 % is a single point);",
        "- energy: 2 E|x - y| - E|x - x'| - E|y - y'|, in units of E|y - y'|, without bias;",
        "- bridge: samples between the two modes, more than a tenth of their distance from either;",
        f"- steps: of training until energy < {result['reached_below']} stays reached (evaluated "
        f"every {result['every']}); - where it never is.",
        "",
        f"Command: `{result['command']}`; commit {result['commit']}; {result['machine']}.",
    ]
    for name in ORACLES:
        lines += ["", f"## {_title(name)}", "", *_oracle_table(name, rows)]
    lines += ["", "## Cost of a training step beside flow matching's", "", *_cost_table(result)]
    return "\n".join(lines) + "\n"


def _title(name: str) -> str:
    law = "two points, moved and reweighed" if ORACLES[name].two_modes else "one Gaussian, moved"
    return f"Oracle {name}: {law} by the condition"


def _oracle_table(oracle: str, rows: list[dict[str, Any]]) -> list[str]:
    bridge = ORACLES[oracle].two_modes
    head = ["objective", "NFE", "mean", "std", "energy", *(["bridge"] if bridge else []), "steps"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    chosen = [row for row in rows if row["oracle"] == oracle]
    chosen.sort(key=lambda row: (row["objective"] != REFERENCE, row["energy_distance"]))
    for row in chosen:
        cells = [
            row["objective"],
            "-" if row["nfe"] is None else str(row["nfe"]),
            f"{row['mean_error']:.2f}",
            f"{100 * row['std_error']:+.0f} %",
            f"{row['energy_distance']:.4f}",
            *([f"{100 * row['bridge']:.0f} %"] if bridge else []),
            str(row["reached"] or "-"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _cost_table(result: dict[str, Any]) -> list[str]:
    lines = [
        "Loss and gradient of the U-Net of `mp1_small` on a batch of 128, midway in training. "
        "Time: median of the ratios of neighbouring steps, the objectives in turn with flow "
        "matching, one thread. Memory: peak of PyTorch's allocations during the step beyond what "
        "it held before, from its profiler's record of every allocation.",
        "",
        "| objective | time | peak memory | weighting power p |",
        "|---|---|---|---|",
    ]
    for name, cost in sorted(result["costs"].items(), key=lambda item: item[1]["time"]):
        power = "-" if cost["power"] is None else cost["power"]
        lines.append(f"| {name} | {cost['time']:.2f} | {cost['memory']:.2f} | {power} |")
    return lines


def draw(path: Path, result: dict[str, Any]) -> None:
    """Samples against both modes over the condition, one panel an objective and NFE."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [row for row in result["rows"] if row["oracle"] == FIGURE_ORACLE]
    shown.sort(key=lambda row: (row["objective"] != REFERENCE, row["energy_distance"]))
    columns = 5
    count = -(-len(shown) // columns)
    figure = Figure(figsize=(3.0 * columns, 2.35 * count + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(count, columns, sharex=True, sharey=True, squeeze=False)
    oracle = ORACLES[FIGURE_ORACLE]
    c = torch.linspace(-1, 1, 101)[:, None]
    centre = oracle.centre(c)[:, 0, 0]
    for index, panel in enumerate(axes.flat):
        if index >= len(shown):
            panel.set_axis_off()
            continue
        row = shown[index]
        for side in (-1, 1):
            panel.plot(c[:, 0], centre + side * oracle.half, color=_MODES, linewidth=5, zorder=1)
        points = torch.tensor(row["samples"])
        color = "#30638e" if row["objective"] == REFERENCE else _SAMPLES
        panel.scatter(points[:, 0], points[:, 1], s=3, color=color, alpha=0.55, linewidths=0)
        steps = "" if row["nfe"] is None else f", {row['nfe']} NFE"
        name = row["objective"].replace("_", " ")
        panel.set_title(f"{name}{steps}\nbridge {100 * row['bridge']:.0f} %", fontsize=9)
        panel.set(ylim=(-1.45, 1.45), xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        panel.tick_params(labelsize=7)
        panel.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("condition c", fontsize=10)
    figure.supylabel("action", fontsize=10)
    figure.suptitle(
        "Two modes under a condition: samples of every objective after the same training "
        "(grey: where the data are)",
        fontsize=12,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
