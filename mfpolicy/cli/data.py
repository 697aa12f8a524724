"""``mfpolicy data``: what there is to do with datasets."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from mfpolicy.cli.datasets import VERBS
from mfpolicy.cli.help import HELP_WORDS
from mfpolicy.config.verbs import EXAMPLES
from mfpolicy.errors import ConfigError, did_you_mean


def run(words: Sequence[str]) -> int:
    """Does what the first of the words says."""
    if not words or words[0] in HELP_WORDS:
        listing = "\n".join(f"  {verb:<10}{what}" for verb, what in VERBS.items())
        print(f"usage: mfpolicy data VERB [key=value …]\n\n{listing}\n")
        print(
            f"  mfpolicy data VERB --help   its options\n\nexample:\n  {EXAMPLES['data convert']}"
        )
        return 0
    verb, *rest = words
    if verb not in VERBS:
        raise ConfigError(
            "the word after data must be one of its commands",
            received=verb,
            remedy=did_you_mean(verb, VERBS),
        )
    return import_module(f"mfpolicy.cli.datasets.{verb}").run(rest)
