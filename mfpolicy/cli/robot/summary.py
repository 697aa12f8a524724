"""What a closed loop came to: ``summary.json``, and a short table."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Any

from mfpolicy.cli.console import output, print_rows
from real_robot.causes import counts_in

if TYPE_CHECKING:
    from mfpolicy.config import RobotConfig
    from mfpolicy.evaluation import EvalSummary
    from real_robot.simulated import LoopEpisode

SUMMARY, SCHEMA = "summary.json", 1


def summarize(
    config: RobotConfig,
    world: Mapping[str, Any],
    episodes: Sequence[LoopEpisode],
    in_process: EvalSummary | None,
    *,
    sides: Mapping[str, Mapping[str, str]],
    wall_seconds: float,
) -> dict[str, Any]:
    """The content of ``summary.json``.

    ``success_rate`` counts as the literature does: success at any step, or at the end where the
    suite's demonstrations must succeed there (Adroit). Times are wall time in ms but for those of
    the controller's clock, which ``clock`` names: of simulated time, ``realtime_factor`` of which
    passes in a second, and which moves ten times a control step.

    Args:
        config: that it ran with.
        world: what the simulation said of itself.
        episodes: that ran.
        in_process: the same policy on the same seeds.
        sides: versions of ROS of ``bridge`` and ``peer``.
        wall_seconds: of all of it, start included.
    """
    import envs
    from mfpolicy.evaluation.machine import machine_facts, package_versions

    at_end = envs.spec(world["task"]).demonstration.success_at_end
    measure = "success_end" if at_end else "success_any"
    results = [episode.result for episode in episodes]
    return {
        "schema": SCHEMA,
        "robot": config.robot,
        "run": config.run,
        "task": world["task"],
        "episodes": len(episodes),
        "seeds": [results[0]["seed"], results[-1]["seed"]],
        **_success(results, in_process, measure),
        "rate_hz": world["rate_hz"],
        "clock": world["clock"],
        "camera": config.camera,
        **_pace(episodes, world["rate_hz"], config.realtime_factor),
        **_said(episodes[-1].diagnostics.get("values", {})),
        "ros": {side: dict(versions) for side, versions in sides.items()},
        "renderer": world["renderer"],
        "machine": machine_facts("cpu"),
        "packages": package_versions(),
        "wall_seconds": wall_seconds,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def show(summary: Mapping[str, Any]) -> None:
    """Prints the table."""
    rows = [
        ("task", f"{summary['task']}, {summary['episodes']} episodes"),
        ("over ROS", _rate(summary["success_rate"])),
    ]
    if summary["in_process"] is not None:
        rows.append(("in process", _rate(summary["in_process"]["success_rate"])))
    interval, age = summary["command_interval_ms"], summary["frame_to_command_ms"]
    factor, ros = summary["realtime_factor"], summary["ros"]
    rows += [
        ("ROS", f"{ros['bridge']['distribution']} drives {ros['peer']['distribution']}"),
        ("real time", f"{factor['reached']:.3f} of {factor['wanted']:g}"),
        ("commands", f"every {_times(interval)}"),
        ("frame to command", _times(age)),
        ("steps without command", f"{summary['steps_without_command']} of {summary['steps']}"),
        ("refusals", ", ".join(f"{k} {n}" for k, n in summary["refusals"].items()) or "none"),
    ]
    print_rows(output(), rows)


def _success(
    results: Sequence[Mapping[str, Any]], in_process: EvalSummary | None, measure: str
) -> dict[str, Any]:
    """How often it succeeded, over ROS and in process."""
    from mfpolicy.evaluation.statistics import success_rate

    return {
        "measure": measure,
        "success_rate": asdict(success_rate([result[measure] for result in results])),
        "success_any": asdict(success_rate([result["success_any"] for result in results])),
        "success_end": asdict(success_rate([result["success_end"] for result in results])),
        "in_process": None if in_process is None else _compared(results, in_process, measure),
    }


def _pace(episodes: Sequence[LoopEpisode], rate_hz: float, wanted: float) -> dict[str, Any]:
    """How fast it went, by wall time, at the robot."""
    steps = sum(episode.result["steps"] for episode in episodes)
    seconds = sum(episode.wall_s for episode in episodes)
    return {
        "realtime_factor": {
            "wanted": wanted,
            "reached": steps / rate_hz / seconds,
            "fell_behind": episodes[-1].behind,
        },
        "command_interval_ms": _spread(chain.from_iterable(e.intervals_ms for e in episodes)),
        "frame_to_command_ms": _spread(chain.from_iterable(e.ages_ms for e in episodes)),
        "steps": steps,
        "steps_without_command": sum(episode.result["holds"] for episode in episodes),
    }


def _said(values: Mapping[str, str]) -> dict[str, Any]:
    """What the controller's last diagnostics say."""
    return {
        "controller_clock_ms": {
            name: float(values[name])
            for name in values
            if name.startswith(("cloud_to_command", "tick_jitter", "tick_period"))
        },
        "decision_ms": {
            name.split("_")[1]: float(values[name])
            for name in ("decision_p50_ms", "decision_p99_ms")
            if name in values
        },
        "refusals": counts_in(values),
        "last_refusal": values.get("last_refusal", ""),
    }


def _compared(
    results: Sequence[Mapping[str, Any]], in_process: EvalSummary, measure: str
) -> dict[str, Any]:
    from mfpolicy.evaluation.records import read_log
    from mfpolicy.evaluation.statistics import compare_paired

    log = read_log(in_process.folder)
    paired = compare_paired(
        {result["seed"]: result[measure] for result in results},
        {seed: getattr(result, measure) for seed, result in log.items()},
    )
    return {
        "folder": str(in_process.folder),
        "success_rate": asdict(getattr(in_process, measure)),
        "paired": asdict(paired),
    }


def _spread(values: Any) -> dict[str, float]:
    import numpy as np

    found = np.fromiter(values, np.float64)
    if not len(found):
        return {}
    p50, p95, p99 = np.percentile(found, (50, 95, 99))
    return {
        "mean": float(found.mean()),
        "std": float(found.std()),
        "p50": float(p50),
        "p95": float(p95),
        "p99": float(p99),
        "max": float(found.max()),
        "n": len(found),
    }


def _times(spread: Mapping[str, float]) -> str:
    if not spread:
        return "none"
    return f"p50 {spread['p50']:.1f} ms, p99 {spread['p99']:.1f} ms, std {spread['std']:.1f} ms"


def _rate(rate: Mapping[str, Any]) -> str:
    low, high = rate["interval"]
    return f"{rate['rate']:.1%} ({rate['k']}/{rate['n']}), {low:.1%} to {high:.1%}"
