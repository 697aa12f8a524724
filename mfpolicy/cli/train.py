"""``mfpolicy train``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mfpolicy.cli.console import output, print_rows
from mfpolicy.cli.environments import check_trainable
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import compose

if TYPE_CHECKING:
    from mfpolicy.training import TrainSummary

INTERRUPTED = 130


def run(words: Sequence[str]) -> int:
    """Trains a policy and says where it lies."""
    if answers_itself("train", words):
        return 0
    config = compose("train", words)
    for task, data in config.data_of.items():
        check_trainable(task, data)
    from mfpolicy.training import train

    summary = train(config)
    rows = [
        ("run", str(summary.run)),
        ("steps", _steps(summary)),
        ("time", f"{summary.seconds:.1f} s, {summary.samples_per_s:.0f} samples/s"),
    ]
    if summary.loss is not None:
        rows.insert(2, ("loss", f"{summary.loss:.4g}"))
    if summary.interrupted:
        rows.append(
            ("interrupted", "the state is saved; the same command with resume=true goes on")
        )
    else:
        rows.append(("next", f"mfpolicy eval {summary.run}"))
    print_rows(output(), rows)
    return INTERRUPTED if summary.interrupted else 0


def _steps(summary: TrainSummary) -> str:
    if summary.stopped_early:
        return f"{summary.step}, where the held-out action error stopped the run"
    planned = summary.planned_steps
    return str(summary.step) if planned is None else f"{summary.step} of {planned}"
