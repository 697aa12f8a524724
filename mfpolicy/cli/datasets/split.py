"""``mfpolicy data split``: parts of a dataset that share no episode."""

from __future__ import annotations

from collections.abc import Sequence

from mfpolicy.cli.console import output, print_rows
from mfpolicy.cli.datasets import VERBS
from mfpolicy.cli.datasets.outcome import episodes_bar
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import DataSplitConfig, compose


def run(words: Sequence[str]) -> int:
    """Splits what the words name."""
    if answers_itself("data split", words, what=VERBS["split"]):
        return 0
    config: DataSplitConfig = compose("data split", words)
    from mfpolicy.data.editing import split

    with episodes_bar("split") as show:
        reports = split(
            config.source, config.out, parts=config.parts, seed=config.seed, progress=show
        )
    rows = [
        (name, f"{report.path}: {report.episodes} episodes, {report.steps} steps")
        for name, report in reports.items()
    ]
    print_rows(output(), rows)
    return 0
