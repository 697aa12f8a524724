"""Command-line words → Hydra overrides: what is not ``key=value`` is explained, not guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mfpolicy.errors import ConfigError

_KEY = re.compile(r"[A-Za-z_][\w]*(\.[\w]+)*")


@dataclass(frozen=True)
class Override:
    """One ``key=value`` of the command line, the value as typed."""

    key: str
    value: str

    def quoted(self) -> str:
        """The override with its value quoted, so that Hydra takes any text as it is."""
        if self.value == "null" or re.fullmatch(r"'.*'|\".*\"", self.value, re.DOTALL):
            return f"{self.key}={self.value}"
        escaped = re.sub(r"(\\*)('|$)", _double_backslashes, self.value)
        return f"{self.key}='{escaped}'"


def _double_backslashes(match: re.Match[str]) -> str:
    quote = r"\'" if match[2] else ""
    return match[1] * 2 + quote


def parse(words: Sequence[str], *, positional: str | None = None) -> list[Override]:
    """Splits the words of a command line into overrides.

    Args:
        words: the words after the verb.
        positional: key that a word without ``key=`` is the value of.

    Raises:
        ConfigError: a word is not ``key=value``, or a key is given twice.

    Example:
        >>> parse(["runs/a", "seed=1"], positional="run")
        [Override(key='run', value='runs/a'), Override(key='seed', value='1')]
    """
    overrides: list[Override] = []
    for word in words:
        if positional is not None and _is_bare(word):
            overrides.append(Override(positional, word))
        else:
            overrides.append(_split(word))
    seen: set[str] = set()
    for override in overrides:
        if override.key in seen:
            raise ConfigError("each key must be given once", received=override.key)
        seen.add(override.key)
    return overrides


def _is_bare(word: str) -> bool:
    return not word.startswith("-") and ("=" not in word or Path(word).exists())


def _split(word: str) -> Override:
    key, equals, value = word.partition("=")
    if equals and _KEY.fullmatch(key):
        return Override(key, value)
    raise ConfigError(
        "options must be written key=value", received=word, remedy=_how_to_write(key, equals, value)
    )


def _how_to_write(key: str, equals: str, value: str) -> str:
    name = key.lstrip("-+~").replace("-", "_")
    if name in ("h", "help"):
        return "write --help right after the command"
    if key == "":
        return "leave no space around ="
    if key.startswith(("+", "~")):
        return f"keys can be set but not added or removed; write {name}=…"
    if not _KEY.fullmatch(name):
        return "a key is a word, or words joined by dots"
    return f"write {name}={value if equals else '…'}"
