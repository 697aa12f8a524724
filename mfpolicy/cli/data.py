"""``mfpolicy data``: what there is to do with datasets."""

from __future__ import annotations

from collections.abc import Sequence

from mfpolicy.cli.datasets import VERBS
from mfpolicy.cli.second_verb import run_second_verb


def run(words: Sequence[str]) -> int:
    """Does what the first of the words says."""
    return run_second_verb("data", VERBS, "mfpolicy.cli.datasets", words, example="data convert")
