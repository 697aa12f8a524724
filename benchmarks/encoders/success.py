"""Success of pairs of encoder and network on six Meta-World tasks, and against their latency.

Every cell is one of `mfpolicy benchmark run`: the same ten demonstrations, objective, steps and
evaluation seeds for all, and a record of each in ``benchmarks/records/encoders``, of the default
pair in ``benchmarks/records/current``. A cell with a record is finished; without ``--candidates``
it only tells what the records say:

    python -m benchmarks.encoders.success --candidates pyramid+mlp_mixer --seeds 0 1 \\
        --out benchmarks/results/2026-11-28-encoders-success \\
        --latency benchmarks/results/2026-11-28-encoders-latency.json

The tasks were chosen before any was run, one or two of each difficulty and every one with an expert
that succeeds in at least 85 % of episodes: drawer-open and lever-pull (easy), peg-insert-side
(medium), assembly and push (hard), shelf-place (very hard). ``lever-pull`` and ``assembly`` ask for
an orientation or a fit that one maximum over the cloud may lose; ``push`` and ``shelf-place`` for a
place relative to another object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cells import mfpolicy, rate
from benchmarks.encoders.candidates import BASELINE, CANDIDATES, PRESET
from benchmarks.records_beside import RECORDS
from benchmarks.records_beside import outcomes as by_episode
from mfpolicy.benchmark import CellRecord, read_records
from mfpolicy.evaluation.aggregates import Cell, mean_difference, mean_rate

TASKS = ("drawer-open", "lever-pull", "peg-insert-side", "assembly", "push", "shelf-place")
METHOD = "mp1_plus"
Outcomes = Mapping[str, Cell]


def folder(name: str) -> Path:
    """Of a candidate's records."""
    return RECORDS / "current" if name == BASELINE else RECORDS / "encoders" / name


def run(name: str, work: Path, tasks: Sequence[str], seeds: Sequence[int], workers: int) -> None:
    """Trains and evaluates what has no record yet, ``workers`` cells at a time."""
    mfpolicy(
        *("benchmark", "run", "suite=quick_8", f"methods={METHOD}", f"out={work / name}"),
        f"tasks=[{','.join(f'metaworld/{task}' for task in tasks)}]",
        f"seed={','.join(map(str, seeds))}",
        f"data={work}/data/{{suite}}/{{task}}-d{{demonstrations}}.zarr",
        *(f"records={folder(name)}", "threads=1", *CANDIDATES[name]),
        *("launcher=joblib", f"launcher.n_jobs={workers}"),
    )


def records(name: str) -> list[CellRecord]:
    """The candidate's, of these tasks and ten demonstrations."""
    return [
        each
        for each in (read_records(folder(name)) if folder(name).is_dir() else [])
        if each.task.removeprefix("metaworld/") in TASKS
        and (each.method, each.demonstrations) == (METHOD, 10)
    ]


def outcomes(found: Sequence[CellRecord]) -> dict[str, dict[int, Mapping[int, bool]]]:
    """Task → training seed → evaluation seed → success at any step."""
    result: dict[str, dict[int, Mapping[int, bool]]] = {}
    for each in found:
        task = each.task.removeprefix("metaworld/")
        result.setdefault(task, {})[each.seed] = by_episode(each)
    return result


def table(
    found: Mapping[str, Sequence[CellRecord]], latency: Mapping[str, Any] | None = None
) -> str:
    """The result as Markdown, with sizes and times of a decision where they were measured."""
    told = {name: outcomes(own) for name, own in found.items()}
    steps = sorted({each.training.steps for own in found.values() for each in own})
    lines = [
        f"`{PRESET}` ({', '.join(map(str, steps))} steps of 64) with other encoders and networks, "
        "the same ten demonstrations and evaluation seeds 10000 to 10099, the last weights. "
        "Success at any step with Wilson's 95 % interval; seconds of a training (median) "
        "on one core of two that were both in use. The time of a decision is of untrained weights "
        "on one thread of an idle machine, p50 of the faster of two backends "
        "(`benchmarks.encoders.latency`).",
        "",
        "| encoder+network | training seeds | " + " | ".join(TASKS) + " | mean | training, s "
        "| weights, 10³ | decision, ms |",
        "|---|---|" + "---|" * (len(TASKS) + 4),
    ]
    for name, tasks in told.items():
        seeds = sorted({seed for cell in tasks.values() for seed in cell})
        shown = [_success(tasks[task]) if task in tasks else "" for task in TASKS]
        spent = sorted(each.training.seconds for each in found[name])[len(found[name]) // 2]
        mean = f"{100 * mean_rate(tasks).rate:.1f}" if set(tasks) == set(TASKS) else ""
        cost = " | ".join(_cost(name, latency))
        lines.append(
            f"| {name} | {_numbers(seeds)} | {' | '.join(shown)} | {mean} | {spent:.0f} | {cost} |"
        )
    return "\n".join([*lines, "", *_beside(told)]) + "\n"


def _cost(name: str, latency: Mapping[str, Any] | None) -> tuple[str, str]:
    """Weights in thousands, and milliseconds with the backend that took them."""
    best = _fastest(latency).get(name) if latency else None
    if best is None:
        return "", ""
    weights = best["encoder_weights"] + best["network_weights"]
    return f"{weights / 1e3:.0f}", f"{_p50_ms(best):.2f} ({best['backend']})"


def _beside(told: Mapping[str, Outcomes]) -> list[str]:
    """Every candidate beside the default pair, over the tasks and seeds that both have."""
    lines = [
        f"Over the tasks and training seeds that it shares with `{BASELINE}`, every task alike; "
        "intervals know of shared seeds (mfpolicy.evaluation.aggregates), McNemar's exact p:",
        "",
        f"| encoder+network | tasks | training seeds | mean, % | `{BASELINE}` there, % "
        "| difference, points | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, tasks in told.items():
        own, first = shared(tasks, told[BASELINE])
        if name == BASELINE or not own:
            continue
        pair = mean_difference(own, first)
        means = [f"{100 * mean_rate(each).rate:.1f}" for each in (own, first)]
        low, high = (100 * bound for bound in pair.interval)
        lines.append(
            f"| {name} | {pair.tasks} | {pair.training_seeds} | {means[0]} | {means[1]} "
            f"| {100 * pair.difference:+.1f} [{low:+.1f}, {high:+.1f}] | {pair.p_value:.2g} |"
        )
    return lines


def shared(a: Outcomes, b: Outcomes) -> tuple[dict[str, Cell], dict[str, Cell]]:
    """Both, of the tasks and training seeds that both have."""
    both = {task: a[task].keys() & b[task].keys() for task in a.keys() & b.keys()}
    return (
        {task: {seed: a[task][seed] for seed in seeds} for task, seeds in both.items() if seeds},
        {task: {seed: b[task][seed] for seed in seeds} for task, seeds in both.items() if seeds},
    )


def _success(cell: Cell) -> str:
    return rate([up for episodes in cell.values() for up in episodes.values()])


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def pareto(told: Mapping[str, Outcomes], latency: Mapping[str, Any], out: Path) -> None:
    """Draws mean success over the six tasks against the time of a decision.

    A dashed line joins the pairs that none is better than at no more time. A candidate that lacks
    a task is left out.

    Args:
        told: outcomes by candidate.
        latency: what ``benchmarks.encoders.latency`` wrote; of a pair's backends the faster counts.
        out: the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    front: list[tuple[float, float]] = []
    for row in sorted(_fastest(latency).values(), key=_p50_ms):
        name, p50_ms = row["candidate"], _p50_ms(row)
        tasks = told.get(name, {})
        if set(tasks) != set(TASKS):
            continue
        mean = mean_rate(tasks)
        color = "tab:red" if name == BASELINE else "tab:blue"
        y, low, high = (100 * value for value in (mean.rate, *mean.interval))
        axes.errorbar(p50_ms, y, yerr=[[y - low], [high - y]], fmt="o", color=color, capsize=3)
        words = f"{name} ({mean.training_seeds})"
        axes.annotate(words, (p50_ms, y), textcoords="offset points", xytext=(7, 4), fontsize=8)
        if not front or y > front[-1][1]:
            front.append((p50_ms, y))
    axes.plot(*zip(*front, strict=True), "--", color="gray", linewidth=1, zorder=0)
    axes.set_xlim(0, 1.4 * axes.dataLim.x1)  # room for the names
    axes.set_title("mean of six Meta-World tasks; in brackets the training seeds", fontsize=9)
    axes.set_xlabel("decision on the faster backend, one thread, p50, ms")
    axes.set_ylabel("success at any step, %")
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(out, dpi=110)


def _fastest(latency: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each candidate on the faster of its backends."""
    slowest_first = sorted(latency["rows"], key=_p50_ms, reverse=True)
    return {row["candidate"]: row for row in slowest_first}


def _p50_ms(row: Mapping[str, Any]) -> float:
    return float(row["wall_ms"]["p50"])


def main() -> None:
    """Runs what is missing and writes the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--candidates", nargs="*", default=[], choices=CANDIDATES, help="to run")
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="training seeds")
    parser.add_argument("--workers", type=int, default=2, help="cells at a time")
    parser.add_argument("--work", type=Path, default=Path("runs/encoders"))
    parser.add_argument("--latency", type=Path, help="JSON of benchmarks.encoders.latency")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    latency = json.loads(given.latency.read_text()) if given.latency else None
    for name in given.candidates or [None]:
        if name:
            run(name, given.work, given.tasks, given.seeds, given.workers)
        found = {each: own for each in CANDIDATES if (own := records(each))}
        given.out.with_suffix(".md").write_text(table(found, latency))
        if latency is not None:
            told = {each: outcomes(own) for each, own in found.items()}
            pareto(told, latency, given.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
