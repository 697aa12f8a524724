"""The options of a command with their defaults and meaning, read from the YAML files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfpolicy.config.composition import compose_tree, group_choices, selected
from mfpolicy.config.convert import leaves
from mfpolicy.config.overrides import parse
from mfpolicy.config.verbs import POSITIONAL, config_name
from mfpolicy.paths import config_dir


@dataclass(frozen=True)
class Option:
    """One line of a command's help.

    Attributes:
        key: dotted key, or the name of a group.
        default: as it would be typed; empty where the key is mandatory.
        meaning: the comment beside the key in its YAML file, or the choices of the group.
    """

    key: str
    default: str
    meaning: str


def describe(verb: str, words: Sequence[str] = ()) -> list[Option]:
    """Lists the groups and keys of ``verb`` in the order of its YAML files.

    Args:
        verb: train, eval or collect.
        words: overrides; a group choice among them changes which keys there are.

    Raises:
        ConfigError: an override does not fit.

    Example:
        >>> [option.default for option in describe("eval") if option.key == "episodes"]
        ['100']
    """
    overrides = parse(words, positional=POSITIONAL.get(verb))
    chosen = selected(verb, overrides)
    comments = dict(_comments(config_dir() / f"{config_name(verb)}.yaml"))
    for group, name in chosen.items():
        comments |= _comments(config_dir() / group / f"{name}.yaml", prefix=f"{group}.")
    groups = [
        Option(group, chosen[group], "one of " + ", ".join(names))
        for group, names in group_choices(verb).items()
    ]
    keys = [
        Option(key, _typed(value), comments.get(key, ""))
        for key, value in leaves(compose_tree(verb, overrides))
        if key not in {f"{group}.name" for group in chosen}
    ]
    mandatory = [option for option in keys if not option.default]
    return [*mandatory, *groups, *(option for option in keys if option.default)]


def _typed(value: Any) -> str:
    if value == "???":
        return ""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(_typed(item) for item in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _comments(path: Path, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields each dotted key of a YAML file with the comment at the end of its line."""
    import yaml

    text = path.read_text(encoding="utf-8")
    if "@package _global_" in text.partition("\n")[0]:
        prefix = ""
    lines = text.splitlines()

    def walk(node: yaml.Node, prefix: str) -> Iterator[tuple[str, str]]:
        if not isinstance(node, yaml.MappingNode):
            return
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            if isinstance(value, yaml.MappingNode):
                yield from walk(value, f"{name}.")
            rest = lines[value.end_mark.line] if value.end_mark.line < len(lines) else ""
            comment = rest[value.end_mark.column :].partition("#")[2].strip()
            if comment and value.end_mark.line == key.start_mark.line:
                yield name, comment

    yield from walk(yaml.compose(text) or yaml.MappingNode("", []), prefix)
