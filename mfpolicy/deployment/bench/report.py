"""The measured latencies as a table, as JSON and as a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.deployment.bench.latency import Row
from mfpolicy.deployment.bench.measure import PERCENTILES

HEAD = (
    *("policy", "NFE", "backend", "B", "threads", *PERCENTILES),
    *("floor", "copy/encoder/network", "cold start", "memory", "ratio"),
)
"""Titles of the columns: B is the batch, the floor is reading the weights in ms, stages are p50 in
ms, the ratio is of p50 to the first."""


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """A line of text for each row, under ``HEAD``; times in ms, stages and ratio of the p50."""
    first = rows[0].latency_ms["total"]["p50"]
    lines = []
    for row in rows:
        total = row.latency_ms["total"]
        parts = [
            f"{row.latency_ms[stage]['p50']:.2f}" if stage in row.latency_ms else "–"
            for stage in ("copy", "encoder", "network")
        ]
        lines.append(
            (
                *(row.policy, str(row.steps), f"{row.backend} {row.precision}"),
                *(str(row.batch), str(row.threads)),
                *(f"{total[name]:.2f}" for name in PERCENTILES),
                f"{row.floor_ms:.2f}",
                "/".join(parts),
                f"{row.cold['start_s']:.1f} s" if row.cold else "–",
                f"{row.cold['memory_mib']:.0f} MiB" if row.cold else "–",
                f"{total['p50'] / first:.2f} ×",
            )
        )
    return lines


def markdown(rows: Sequence[Row], heading: str) -> str:
    """The table as Markdown under a line that says what was measured on what."""
    lines = [heading, "", "| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += ["| " + " | ".join(line) + " |" for line in cells(rows)]
    return "\n".join(lines) + "\n"


def write_report(
    out: Path, rows: Sequence[Row], heading: str, facts: Mapping[str, Any]
) -> list[Path]:
    """Writes NAME.md, NAME.json and NAME.png.

    Args:
        out: path without its ending; its folder is made.
        rows: what was measured.
        heading: what on what.
        facts: to keep with the numbers.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    paths = [out.with_name(out.name + ending) for ending in (".md", ".json", ".png")]
    paths[0].write_text(markdown(rows, heading), encoding="utf-8")
    result = {**facts, "rows": [row.record() for row in rows]}
    paths[1].write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    _histograms(rows, paths[2])
    return paths


def _histograms(rows: Sequence[Row], path: Path) -> None:
    """Distribution of every contender's latency, on one logarithmic axis."""
    from matplotlib.figure import Figure

    low = min(float(row.samples_ms.min()) for row in rows)
    high = max(float(row.samples_ms.max()) for row in rows)
    edges = np.geomspace(low * 0.95, high * 1.05, 120)
    figure = Figure(figsize=(8, 0.55 * len(rows) + 1), layout="constrained")
    axes = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
    for row, ax in zip(rows, axes, strict=True):
        ax.hist(row.samples_ms, bins=edges, color="tab:blue")
        ax.axvline(row.latency_ms["total"]["p50"], color="black", linewidth=1)
        ax.axvline(row.latency_ms["total"]["p99"], color="tab:red", linewidth=1)
        size = f", batch {row.batch}" if row.batch > 1 else ""
        label = f"{row.policy}, {row.backend} {row.precision}, {row.threads} thr.{size}"
        ax.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
        ax.set_yticks([])
    axes[0].set_title("latency of a decision; black p50, red p99", fontsize=9)
    axes[-1].set_xscale("log")
    axes[-1].set_xlabel("ms, host observation in to host actions out")
    figure.savefig(path, dpi=110)
