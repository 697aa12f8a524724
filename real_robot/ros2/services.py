"""What an operator can do, as services of the type ``std_srvs/Trigger``."""

# pyright: reportMissingImports=false

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node
from std_srvs.srv import Trigger

Act = Callable[[], tuple[bool, str]]
"""Does it, and says whether it was done, and what is to be read."""


def offer(node: Node, acts: Mapping[str, Act]) -> list[Callable[[], Any]]:
    """Offers services ``~/NAME``; returns what ends them."""

    def serve(act: Act, request: Any, response: Any) -> Any:
        response.success, response.message = act()
        node.get_logger().info(response.message)
        return response

    services = [
        node.create_service(Trigger, f"~/{name}", functools.partial(serve, act))
        for name, act in acts.items()
    ]
    return [functools.partial(node.destroy_service, each) for each in services]
