"""``mfpolicy data subset``: some episodes, or some arrays, of a dataset."""

from __future__ import annotations

from collections.abc import Sequence

from mfpolicy.cli.datasets import VERBS
from mfpolicy.cli.datasets.outcome import episodes_bar, print_outcome
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import DataSubsetConfig, compose


def run(words: Sequence[str]) -> int:
    """Writes the episodes that the words choose."""
    if answers_itself("data subset", words, what=VERBS["subset"]):
        return 0
    config: DataSubsetConfig = compose("data subset", words)
    from mfpolicy.data.editing import subset

    with episodes_bar("subset") as show:
        report = subset(
            config.source,
            config.out,
            episodes=config.episodes,
            success=config.success,
            first=config.first,
            arrays=config.arrays,
            progress=show,
        )
    print_outcome(report)
    return 0
