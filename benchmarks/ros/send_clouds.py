"""Sends large clouds, or counts those that come; run by a Python that has rclpy.

``python send_clouds.py send|take RELIABILITY COUNT``. It prints how many it sent, or took.
"""

# pyright: reportMissingImports=false

import array
import sys
import time

import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2, PointField

HEIGHT, WIDTH, POINT_BYTES = 480, 640, 16
PERIOD_S, PATIENCE_S = 0.1, 60.0


def cloud() -> PointCloud2:
    """640 x 480 points of 16 bytes: 4.9 MB."""
    fields = [
        PointField(name=name, offset=4 * n, datatype=7, count=1) for n, name in enumerate("xyz")
    ]
    return PointCloud2(
        height=HEIGHT,
        width=WIDTH,
        fields=fields,
        point_step=POINT_BYTES,
        row_step=POINT_BYTES * WIDTH,
        data=array.array("B", bytes(POINT_BYTES * WIDTH * HEIGHT)),
    )


def main() -> None:
    """Sends or takes."""
    role, reliability, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    rclpy.init()
    node = rclpy.create_node(role)
    profile = QoSProfile(depth=1, reliability=ReliabilityPolicy[reliability.upper()])
    until_s = time.monotonic() + PATIENCE_S
    done = 0
    if role == "send":
        publisher, message = node.create_publisher(PointCloud2, "/cloud", profile), cloud()
        while not publisher.get_subscription_count() and time.monotonic() < until_s:
            rclpy.spin_once(node, timeout_sec=0.1)
        time.sleep(1.0)
        while done < count:
            publisher.publish(message)
            done += 1
            time.sleep(PERIOD_S)
        time.sleep(1.0)
    else:

        def take(_: PointCloud2) -> None:
            nonlocal done
            done += 1

        node.create_subscription(PointCloud2, "/cloud", take, profile)
        while not node.count_publishers("/cloud") and time.monotonic() < until_s:
            rclpy.spin_once(node, timeout_sec=0.1)
        while node.count_publishers("/cloud") and done < count:
            rclpy.spin_once(node, timeout_sec=0.1)
    print(done, flush=True)
    rclpy.shutdown()


if __name__ == "__main__":
    main()
