"""``mfpolicy data recompute``: point clouds once more from stored depth."""

from __future__ import annotations

from collections.abc import Sequence

from mfpolicy.cli.datasets import VERBS
from mfpolicy.cli.datasets.outcome import episodes_bar, print_outcome
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import DataRecomputeConfig, compose


def run(words: Sequence[str]) -> int:
    """Makes the clouds again as the words say."""
    if answers_itself("data recompute", words, what=VERBS["recompute"]):
        return 0
    config: DataRecomputeConfig = compose("data recompute", words)
    from mfpolicy.data.editing import recompute

    with episodes_bar("recompute") as show:
        report = recompute(
            config.source,
            config.out,
            crop_min=config.crop_min,
            crop_max=config.crop_max,
            points=config.points,
            trust=config.trust,
            progress=show,
        )
    print_outcome(report)
    return 0
