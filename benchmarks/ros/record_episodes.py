"""Starts and stops the recorder of demonstrations again and again; a line of JSON for each episode.

Run by a Python that has rclpy: ``python record_episodes.py SECONDS_OF_AN_EPISODE SECONDS_IN_ALL``.
"""

# pyright: reportMissingImports=false

import json
import sys
import time

import rclpy
from std_srvs.srv import Trigger

NODE = "/demonstration_recorder"


def main() -> None:
    """Records until the time is over."""
    episode_s, all_s = map(float, sys.argv[1:])
    rclpy.init()
    node = rclpy.create_node("records")
    clients = {name: node.create_client(Trigger, f"{NODE}/{name}") for name in ("start", "stop")}
    for client in clients.values():
        client.wait_for_service(60)

    def ask(name: str) -> tuple[bool, str]:
        future = clients[name].call_async(Trigger.Request())
        rclpy.spin_until_future_complete(node, future, timeout_sec=30)
        return future.result().success, future.result().message

    end_s = time.monotonic() + all_s
    while time.monotonic() < end_s:
        ok, message = ask("start")
        if not ok:
            time.sleep(0.5)
            continue
        time.sleep(episode_s)
        ok, message = ask("stop")
        print(json.dumps({"ok": ok, "message": message}), flush=True)
    rclpy.shutdown()


if __name__ == "__main__":
    main()
