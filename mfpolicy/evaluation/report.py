"""What people look at after an evaluation: videos, pictures, the model card, a short table."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mfpolicy.errors import BackendError
from mfpolicy.evaluation.conditions import Conditions
from mfpolicy.evaluation.model_card import write_model_card
from mfpolicy.evaluation.perturbed import in_words
from mfpolicy.evaluation.pictures import draw_learning_curve
from mfpolicy.evaluation.run_folder import read_metrics
from mfpolicy.evaluation.services import MakeEnv, Replay, ReplayService
from mfpolicy.evaluation.workers import WorkerPool
from mfpolicy.types import EpisodeResult

if TYPE_CHECKING:
    from rich.table import Table

    from mfpolicy.evaluation.summary import EvalSummary

CLOUD, CURVE = "point_cloud.png", "learning_curve.png"


def illustrate(
    summary: EvalSummary,
    results: Sequence[EpisodeResult],
    make_env: MakeEnv,
    conditions: Conditions,
    *,
    videos: bool,
) -> None:
    """Makes everything that can be looked at: learning curve, videos, cloud, model card.

    The model card comes even if a replay fails, because the results stand without a video. Where
    nothing renders pictures, a warning says so in place of the videos. ``conditions`` are
    those that the results were made under.

    Raises:
        RunError: a replay did not take the course that was recorded.
    """
    run = Path(summary.run)
    learning_curve(run, summary.folder / CURVE)
    try:
        if videos:
            record_videos(summary, results, make_env, conditions)
    except BackendError as error:
        warnings.warn(f"the results are complete, but without videos: {error}", stacklevel=3)
    finally:
        write_model_card(run)


def learning_curve(run: Path, path: Path) -> bool:
    """Draws the run's training metrics to ``path``; False where the run has none to draw."""
    metrics = [line for line in read_metrics(run) if "step" in line and "loss" in line]
    if metrics:
        draw_learning_curve(path, metrics)
    return bool(metrics)


def record_videos(
    summary: EvalSummary,
    results: Sequence[EpisodeResult],
    make_env: MakeEnv,
    conditions: Conditions,
) -> list[Path]:
    """Replays one success and one failure on camera, and draws the point cloud at their start.

    A success that lasts to the end of its episode is preferred, and a failure that never
    succeeded. Videos that an unchanged evaluation already has are kept.

    Returns:
        The videos, below ``run/videos``.

    Raises:
        RunError: a replay did not take the course that was recorded.
        BackendError: this machine renders no pictures.
    """
    folder, cloud = Path(summary.run) / "videos", summary.folder / CLOUD
    replays = []
    for kind, record in _examples(results).items():
        replays.append(Replay(record, folder / f"{summary.name}-{kind}.mp4", cloud))
        cloud = None
    made = all(r.video.is_file() and (not r.picture or r.picture.is_file()) for r in replays)
    if summary.new_episodes or not made:
        renderer = functools.partial(make_env, render_mode="rgb_array")
        service = functools.partial(
            ReplayService,
            Path(summary.run),
            renderer,
            dataclasses.replace(conditions, device=summary.device, steps=summary.nfe),
        )
        with WorkerPool(service, 1, noun="the replay of seed") as pool:
            for _ in pool.run(replays):
                continue
    return [replay.video for replay in replays]


def summary_rows(summary: EvalSummary) -> list[tuple[str, str]]:
    """The result in a few lines: what it is called, what it is."""
    total = summary.latency_ms["total"]
    parts = ", ".join(
        f"{stage} {summary.latency_ms[stage]['p50']:.2f}"
        for stage in ("points", "copy", "encoder", "network")
    )
    videos = sorted((Path(summary.run) / "videos").glob(f"{summary.name}-*.mp4"))
    rows = [
        ("task", f"{summary.task}, seeds {summary.seeds[0]} to {summary.seeds[1]}"),
        *_perturbed_rows(summary),
        ("success at any step", str(summary.success_any)),
        ("success at the end", str(summary.success_end)),
        *((f"flag {name} at any step", str(rate)) for name, rate in summary.flags.items()),
        (
            "latency of a decision",
            f"p50 {total['p50']:.2f} ms, p99 {total['p99']:.2f} ms "
            f"({summary.nfe} NFE, {summary.device})",
        ),
        ("of which, p50 in ms", parts),
        *_execution_rows(summary),
        ("wall-clock", f"{summary.wall_seconds:.1f} s, {summary.workers} workers"),
        ("results", str(summary.folder)),
        ("model card", str(Path(summary.run) / "README.md")),
    ]
    return rows + [("video", str(video)) for video in videos]


def _perturbed_rows(summary: EvalSummary) -> list[tuple[str, str]]:
    return [] if summary.perturbation is None else [("perturbed", in_words(summary.perturbation))]


def _execution_rows(summary: EvalSummary) -> list[tuple[str, str]]:
    """How chunks were executed, where it was not the plain way, and how smooth the motion was."""
    rows = []
    if summary.execution or summary.latency_ms_injected:
        name = summary.execution["name"] if summary.execution else "receding_horizon"
        held = f"{summary.mean_holds:.1f} of {summary.mean_steps:.1f} steps held"
        rows = [("execution", f"{name}, {summary.latency_ms_injected:g} ms late, {held}")]
    if summary.mean_rms_jerk_per_s3 is not None:
        rows.append(("jerk", f"rms {summary.mean_rms_jerk_per_s3:.3g} action units per s³"))
    return rows


def summary_table(summary: EvalSummary) -> Table:
    """The result as a rich table to print on a console."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in summary_rows(summary):
        table.add_row(name, Text(value))
    return table


def _examples(results: Sequence[EpisodeResult]) -> dict[str, EpisodeResult]:
    """One success and one failure, whichever there are, the clearest and then the first."""
    ordered = sorted(results, key=lambda result: result.seed)
    successes = [r for r in ordered if r.success_any]
    failures = [r for r in ordered if not r.success_end]
    examples = {}
    if successes:
        examples["success"] = max(successes, key=lambda r: r.success_end)
    if failures:
        examples["failure"] = min(failures, key=lambda r: r.success_any)
    return examples
