"""``mfpolicy data merge``: several datasets as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mfpolicy.cli.datasets import VERBS
from mfpolicy.cli.datasets.outcome import episodes_bar, print_outcome
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import DataMergeConfig, compose
from mfpolicy.errors import ConfigError


def run(words: Sequence[str]) -> int:
    """Merges the datasets that the words name."""
    words = _joined(words)
    if answers_itself("data merge", words, what=VERBS["merge"]):
        return 0
    config: DataMergeConfig = compose("data merge", words)
    from mfpolicy.data.editing import merge

    sources = [source.strip() for source in config.sources.split(",")]
    with episodes_bar("merge") as show:
        report = merge(
            sources,
            config.out,
            arrays=config.arrays,
            duplicates=config.duplicates,
            progress=show,
        )
    print_outcome(report)
    return 0


def _joined(words: Sequence[str]) -> list[str]:
    """The words with all bare ones, which are paths, as one."""
    bare = [word for word in words if not word.startswith("-") and _is_path(word)]
    for word in bare if len(bare) > 1 else ():
        if "," in word:
            raise ConfigError(
                "paths of datasets to merge must have no comma", received=word, remedy="rename it"
            )
    others = [word for word in words if word not in bare]
    return [f"sources={','.join(bare)}", *others] if bare else others


def _is_path(word: str) -> bool:
    return "=" not in word or Path(word).exists()
