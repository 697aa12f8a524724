"""The node's parameter file, for where there is no node."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from mfpolicy.errors import ConfigError, did_you_mean
from mfpolicy.options import parse_options
from real_robot.node_settings import NodeSettings
from real_robot.parameter_file import read_values, unwrapped
from real_robot.parameters import RobotParameters

_OF_EVERY_NODE = "use_sim_time"


def load_node_file(path: str | os.PathLike[str]) -> tuple[RobotParameters, NodeSettings]:
    """Parameters and settings of a file as the node takes it.

    Raises:
        ConfigError: as `load_file`, or parameters and settings do not go together.
    """
    parameters, settings = load_file(path, RobotParameters, NodeSettings)
    settings.check(parameters)
    return parameters, settings


def load_file(
    path: str | os.PathLike[str], *classes: type[Any], given: Mapping[str, Any] | None = None
) -> list[Any]:
    """The parameters of a file as instances of dataclasses, each of which takes its own.

    Args:
        path: of the file.
        classes: that know the parameters.
        given: what is taken in place of the file's.

    Raises:
        ConfigError: the file is missing or no YAML, a key is unknown, or a value is missing or does
            not fit.
    """
    values = {**unwrapped(read_values(path)), **(given or {})}
    values.pop(_OF_EVERY_NODE, None)  # a replay's time is the bag's
    fields = {each.name: cls for cls in classes for each in dataclasses.fields(cls)}
    for name in values:
        if name not in fields:
            raise ConfigError(
                f"{path} must hold parameters of the node",
                received=name,
                remedy=did_you_mean(str(name), fields),
            )
    return [
        parse_options(cls, {name: values[name] for name in values if fields[name] is cls})
        for cls in classes
    ]


def key_values(words: Sequence[str]) -> dict[str, str]:
    """Words ``key=value`` as a mapping.

    Raises:
        ConfigError: a word is no such pair.
    """
    values = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigError("a word must be key=value", received=word, remedy="see --help")
        values[name] = value
    return values
