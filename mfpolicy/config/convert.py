"""Plain mappings (YAML, JSON) ↔ the frozen dataclasses of the schema, types checked."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from mfpolicy.errors import ConfigError, did_you_mean

C = TypeVar("C")

_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping",
}


def from_mapping(schema: type[C], values: Mapping[str, Any], *, path: str = "") -> C:
    """Builds ``schema`` (a dataclass) from a mapping, nested dataclasses included.

    Args:
        schema: the dataclass.
        values: one entry for every field without a default.
        path: dotted prefix of the keys in messages.

    Raises:
        ConfigError: a key is unknown or missing, a value has another type or is out of range.

    Example:
        >>> from mfpolicy.config import LoggingConfig
        >>> values = {"wandb": "offline", "project": "p", "progress": True, "tensorboard": False}
        >>> from_mapping(LoggingConfig, values).wandb
        'offline'
    """
    hints = _hints(schema)
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, schema))}
    for key in values:
        if key not in fields:
            raise ConfigError(
                "the configuration has no key of this name",
                received=f"{path}{key}",
                remedy=did_you_mean(str(key), fields),
            )
    missing = [
        f"{path}{name}"
        for name, field in fields.items()
        if name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"the configuration needs the keys {', '.join(missing)}")
    return schema(**{key: _convert(hints[key], value, path + key) for key, value in values.items()})


def to_mapping(config: Any) -> dict[str, Any]:
    """Returns the dataclass as plain mappings and lists, the inverse of :func:`from_mapping`."""
    return _plain(dataclasses.asdict(config))


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every dotted key of ``tree`` that holds a value, with the value."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@functools.cache
def _hints(schema: type) -> dict[str, Any]:
    return typing.get_type_hints(schema)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _convert(hint: Any, value: Any, key: str) -> Any:
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        options = [option for option in typing.get_args(hint) if option is not types.NoneType]
        lists = [option for option in options if typing.get_origin(option) is tuple]
        (hint,) = (
            options if len(options) == 1 else lists if isinstance(value, (list, tuple)) else [str]
        )
    if dataclasses.is_dataclass(hint):
        return from_mapping(typing.cast(type, hint), _expect(dict, value, key), path=f"{key}.")
    if typing.get_origin(hint) is typing.Literal:
        return _choice(typing.get_args(hint), value, key)
    if typing.get_origin(hint) is tuple:
        return _convert_tuple(typing.get_args(hint), value, key)
    if typing.get_origin(hint) is dict and dataclasses.is_dataclass(typing.get_args(hint)[1]):
        own, items = typing.get_args(hint)[1], _expect(dict, value, key)
        return {name: _convert(own, item, f"{key}.{name}") for name, item in items.items()}
    return _expect(typing.get_origin(hint) or hint, value, key)


def _convert_tuple(hints: tuple[Any, ...], value: Any, key: str) -> tuple[Any, ...]:
    if Ellipsis in hints and isinstance(value, (list, tuple)):
        return tuple(_convert(hints[0], item, f"{key}.{n}") for n, item in enumerate(value))
    if not isinstance(value, (list, tuple)) or len(value) != len(hints):
        raise ConfigError(
            f"{key} must be a list" + ("" if Ellipsis in hints else f" of {len(hints)} values"),
            received=value,
            remedy=f"write {key}=[…]",
        )
    return tuple(_convert(hint, item, key) for hint, item in zip(hints, value, strict=True))


def _choice(choices: tuple[Any, ...], value: Any, key: str) -> Any:
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return value
    words = [str(choice).lower() if choice in (True, False) else str(choice) for choice in choices]
    raise ConfigError(f"{key} must be one of {', '.join(words)}", received=value)


def _expect(kind: type, value: Any, key: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"{key} must be {_WORDS[kind]}", received=value)
    return value
