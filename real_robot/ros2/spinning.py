"""A node from its beginning to a signal, ended in order."""

# pyright: reportMissingImports=false

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

N = TypeVar("N", bound=Node)
_SWITCH_S = 0.001


def settle() -> None:
    """Leaves all that there is now out of garbage collections, so that none of them takes long.

    A full collection of a process with a policy in it takes a good part of a tick's period.
    """
    gc.collect()
    gc.freeze()


def spin(make: Callable[[], N], end: Callable[[N], None], words: Sequence[str] | None) -> None:
    """Spins a node until SIGINT or SIGTERM, then ends it while it can still publish.

    Args:
        make: makes the node.
        end: what it has to do last.
        words: of the command line, for ROS; None takes those of the process.
    """
    sys.setswitchinterval(_SWITCH_S)  # that a tick may have to wait for a thread that decides
    # ROS's own handlers would close the publishers before the last message is out
    rclpy.init(args=words, signal_handler_options=SignalHandlerOptions.NO)
    ended: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda found, _: ended.append(found))
    try:
        node = make()
        settle()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            while not ended and rclpy.ok():
                executor.spin_once(timeout_sec=0.1)
        finally:
            end(node)
            node.destroy_node()
    finally:
        rclpy.try_shutdown()
