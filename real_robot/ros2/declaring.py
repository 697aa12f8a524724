"""The fields of dataclasses as parameters of a ROS node, and back."""

# pyright: reportMissingImports=false

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from mfpolicy.options import parse_options

T = TypeVar("T")


def declare(node: Node, *classes: type) -> list[str]:
    """Declares every field; returns their names.

    Types are ours to check, with messages that say what to do: ROS would refuse whole numbers in a
    list of others, and cannot tell the type of an empty list.
    """
    names = []
    for cls in classes:
        for field in dataclasses.fields(cls):
            default: Any = field.default
            if isinstance(default, tuple):
                default = list(default) or None
            node.declare_parameter(field.name, default, ParameterDescriptor(dynamic_typing=True))
            names.append(field.name)
    return names


def read(node: Node, cls: type[T]) -> T:
    """The parameters of a node as an instance of the dataclass.

    Raises:
        ConfigError: a value is missing or does not fit.
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        value = node.get_parameter(field.name).value
        if value is None:
            continue
        is_plain = isinstance(value, bool | int | float | str)
        values[field.name] = value if is_plain else list(value)
    return parse_options(cls, values)
