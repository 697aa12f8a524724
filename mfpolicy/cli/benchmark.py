"""``mfpolicy benchmark``: methods beside one another."""

from __future__ import annotations

from collections.abc import Sequence

from mfpolicy.cli.benchmarks import VERBS
from mfpolicy.cli.second_verb import run_second_verb


def run(words: Sequence[str]) -> int:
    """Does what the first of the words says."""
    return run_second_verb(
        "benchmark", VERBS, "mfpolicy.cli.benchmarks", words, example="benchmark run"
    )
