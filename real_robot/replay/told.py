"""The node's parameter file, for where there is no node."""

from __future__ import annotations

import dataclasses
import os
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
        ConfigError: the file is missing or no YAML, a key is unknown, a value is missing or does
            not fit, or parameters and settings do not go together.
    """
    values = dict(unwrapped(read_values(path)))
    values.pop(_OF_EVERY_NODE, None)  # a replay's time is the bag's
    told: list[Any] = []
    known: set[str] = set()
    for cls in (RobotParameters, NodeSettings):
        names = {field.name for field in dataclasses.fields(cls)}
        told.append({name: value for name, value in values.items() if name in names})
        known |= names
    for name in values:
        if name not in known:
            raise ConfigError(
                f"{path} must hold parameters of the node",
                received=name,
                remedy=did_you_mean(str(name), known),
            )
    parameters = parse_options(RobotParameters, told[0])
    settings = parse_options(NodeSettings, told[1])
    settings.check(parameters)
    return parameters, settings
