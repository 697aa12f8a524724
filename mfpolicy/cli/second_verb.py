"""Verbs that have verbs of their own: ``mfpolicy data convert``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

from mfpolicy.cli.help import HELP_WORDS
from mfpolicy.config.verbs import EXAMPLES
from mfpolicy.errors import ConfigError, did_you_mean


def run_second_verb(
    first: str, verbs: Mapping[str, str], package: str, words: Sequence[str], *, example: str
) -> int:
    """Does what the first of the words says, or lists what there is.

    Args:
        first: the verb before it.
        verbs: second verb, which is also the name of its module, and what it does.
        package: of the modules, which have a function ``run(words)`` each.
        words: after the first verb.
        example: the pair of verbs whose example the list ends with.

    Raises:
        ConfigError: there is no such second verb.
    """
    if not words or words[0] in HELP_WORDS:
        listing = "\n".join(f"  {verb:<10}{what}" for verb, what in verbs.items())
        print(f"usage: mfpolicy {first} VERB [key=value …]\n\n{listing}\n")
        print(f"  mfpolicy {first} VERB --help   its options\n\nexample:\n  {EXAMPLES[example]}")
        return 0
    verb, *rest = words
    if verb not in verbs:
        raise ConfigError(
            f"the word after {first} must be one of its commands",
            received=verb,
            remedy=did_you_mean(verb, verbs),
        )
    return import_module(f"{package}.{verb}").run(rest)
