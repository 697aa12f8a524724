"""Parameters from YAML, as the controller's own or as a parameter file of ROS has them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from mfpolicy.errors import ConfigError
from mfpolicy.options import parse_options
from real_robot.parameters import RobotParameters


def parse_parameters(values: Mapping[str, Any]) -> RobotParameters:
    """Parameters from a mapping.

    Args:
        values: by field; or as a ROS parameter file has them, below a node's name and
            ``ros__parameters``.

    Raises:
        ConfigError: a key is unknown, or a value is missing or does not fit.
    """
    return parse_options(RobotParameters, unwrapped(values))


def load_parameters(path: str | os.PathLike[str]) -> RobotParameters:
    """Parameters from a YAML file; see `parse_parameters`.

    Raises:
        ConfigError: the file is missing or no YAML, or as `parse_parameters`.
    """
    return parse_parameters(read_values(path))


def unwrapped(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters by name, without a node's name and ``ros__parameters`` around them.

    Example:
        >>> unwrapped({"/**": {"ros__parameters": {"min_points": 8}}})
        {'min_points': 8}
    """
    found: Any = values
    while isinstance(found, Mapping) and len(found) == 1:
        (inner,) = found.values()
        if not isinstance(inner, Mapping):
            break
        found = inner
    return found


def read_values(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a YAML file holds.

    Raises:
        ConfigError: the file is missing, no YAML, or holds no mapping.
    """
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            values = yaml.safe_load(file)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} must be a YAML file: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold parameters by name", received=type(values).__name__)
    return values
