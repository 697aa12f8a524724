"""``mfpolicy VERB --help`` for the verbs that Hydra configures."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from mfpolicy.cli import VERBS
from mfpolicy.config.composition import resolved_yaml
from mfpolicy.config.describe import Option, describe
from mfpolicy.config.verbs import EXAMPLES, POSITIONAL

HELP_WORDS = ("--help", "-h")
SHOW_CONFIG = "--cfg"


def wants_help(words: Sequence[str]) -> bool:
    """Whether a help word stands anywhere among the words."""
    return any(word in HELP_WORDS for word in words)


def answers_itself(verb: str, words: Sequence[str], *, what: str = "") -> bool:
    """Prints the help or the configuration if a word asks for it; says whether one did.

    ``what`` says what the verb does, where it is not in the list of verbs.
    """
    rest = [word for word in words if word not in (*HELP_WORDS, SHOW_CONFIG)]
    if wants_help(words):
        print_help(verb, rest, what=what)
        return True
    if SHOW_CONFIG in words:
        print(resolved_yaml(verb, rest), end="")
        return True
    return False


def print_help(verb: str, words: Sequence[str], *, note: str = "", what: str = "") -> None:
    """Prints the options of ``verb``; the overrides among the words show as defaults.

    Args:
        verb: as the command line has it.
        words: overrides.
        what: what it does; empty where that is in the list of verbs.
        note: what else there is to know, before the example.
    """
    options = [option for option in describe(verb, words) if _is_changeable(option)]
    positional = f" {POSITIONAL[verb].upper()}" if verb in POSITIONAL else ""
    print(f"usage: mfpolicy {verb}{positional} [key=value …]\n\n{verb}: {what or VERBS[verb]}\n")
    mandatory = [option for option in options if not option.default]
    if mandatory:
        print("needed:")
        _print_options(mandatory)
        print()
    print("options and their defaults:")
    _print_options([option for option in options if option.default])
    print(f"\n  {SHOW_CONFIG} prints the configuration that the words lead to, and stops.")
    if note:
        print(f"\n{note}")
    print(f"\nexample:\n  {EXAMPLES[verb]}")


def _is_changeable(option: Option) -> bool:
    """Facts of a suite stand beside its options in its file, but cannot be changed."""
    section, _, name = option.key.partition(".")
    return section != "suite" or not name or name in importlib.import_module("envs.suites").OPTIONS


def _print_options(options: Sequence[Option]) -> None:
    width = max(len(_assignment(option)) for option in options) + 2
    for option in options:
        print(f"  {_assignment(option):<{width}}{option.meaning}".rstrip())


def _assignment(option: Option) -> str:
    return f"{option.key}={option.default or '…'}"
