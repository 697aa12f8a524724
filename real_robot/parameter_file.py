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
    found: Any = values
    while isinstance(found, Mapping) and len(found) == 1:
        key, inner = next(iter(found.items()))
        if not isinstance(inner, Mapping):
            break
        found = inner
    return parse_options(RobotParameters, found)


def load_parameters(path: str | os.PathLike[str]) -> RobotParameters:
    """Parameters from a YAML file; see `parse_parameters`.

    Raises:
        ConfigError: the file is missing or no YAML, or as `parse_parameters`.
    """
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            values = yaml.safe_load(file)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} must be a YAML file: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold parameters by name", received=type(values).__name__)
    return parse_parameters(values)
