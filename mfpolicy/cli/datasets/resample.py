"""``mfpolicy data resample``: fewer points a cloud, a lower control rate."""

from __future__ import annotations

from collections.abc import Sequence

from mfpolicy.cli.datasets import VERBS
from mfpolicy.cli.datasets.outcome import episodes_bar, print_outcome
from mfpolicy.cli.environments import simulators
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import DataResampleConfig, compose

_ACTION_SPACE = 1.0  # of every simulated task


def run(words: Sequence[str]) -> int:
    """Resamples as the words say."""
    if answers_itself("data resample", words, what=VERBS["resample"]):
        return 0
    config: DataResampleConfig = compose("data resample", words)
    from mfpolicy.data.editing import resample

    kinds, limit = (), config.limit
    if config.factor is not None or config.rate_hz is not None:
        kinds, known_limit = _known_actions(config.source)
        limit = known_limit if limit is None else limit
    with episodes_bar("resample") as show:
        report = resample(
            config.source,
            config.out,
            points=config.points,
            method=config.method,
            factor=config.factor,
            rate_hz=config.rate_hz,
            actions=config.actions,
            action_kinds=kinds,
            limit=limit,
            beyond=config.beyond,
            progress=show,
        )
    print_outcome(report)
    return 0


def _known_actions(source: str) -> tuple[tuple[str, ...], float | None]:
    """What the actions of the dataset's task command, and how large they may be, where known."""
    from mfpolicy.data import open_dataset

    task = open_dataset(source).spec.task
    specs = {spec.name: spec for spec in simulators().tasks()}
    return (specs[task].action_kinds, _ACTION_SPACE) if task in specs else ((), None)
