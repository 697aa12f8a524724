"""Clouds whose pose comes from tf, before and after it is known; run by a Python that has rclpy.

Writes one line of JSON.
"""

import json
import time

import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.qos import qos_profile_sensor_data
from ros_peer import Robot
from sensor_msgs.msg import PointCloud2

from real_robot.causes import Refusals
from real_robot.core import PolicyFacts
from real_robot.core.observing import Observer
from real_robot.node_settings import NodeSettings
from real_robot.parameters import RobotParameters
from real_robot.rates import Rate
from real_robot.ros2.camera import Camera
from real_robot.safety.freshness import freshness_of_inputs

LIMIT = [1.0, 1.0]
PARAMETERS = RobotParameters(
    joints=["a", "b"], cloud_frame="camera", min_points=8, lower=[-1.0, -1.0],
    upper=LIMIT, velocity=LIMIT, acceleration=LIMIT, jump=LIMIT,
)  # fmt: skip
FACTS = PolicyFacts(1, 1, 2, 2, 3, 16, 10.0, (-1.0, -1.0, 0.0), (1.0, 1.0, 2.0))
HEIGHT_M = 0.5


def main():
    rclpy.init()
    robot, node = Robot(), rclpy.create_node("seer")
    observer = Observer(
        PARAMETERS, FACTS, refusals=Refusals(), inputs=freshness_of_inputs(PARAMETERS)
    )
    settings = NodeSettings(cloud_topic="/cloud", command_topic="/commands", use_tf=True)
    camera = Camera(node, settings, observer, Rate(), time.time, lambda call: call)
    publisher = robot.create_publisher(PointCloud2, "/cloud", qos_profile_sensor_data)

    def see(until):
        end_s = time.monotonic() + 30
        while not until() and time.monotonic() < end_s:
            robot.publish_cloud(publisher)
            rclpy.spin_once(node, timeout_sec=0.1)
            observer.look()

    see(lambda: observer.refusals.counts().get("no_pose", 0) >= 2)
    before = {**observer.refusals.values(), "cloud": observer.inputs["cloud"].problem(time.time())}
    known = TransformStamped()
    known.transform.translation.z, known.transform.rotation.w = HEIGHT_M, 1.0
    camera._buffer.known["camera"] = known
    see(lambda: observer.inputs["cloud"].problem(time.time()) is None)
    after = observer.inputs["cloud"].problem(time.time())
    depth_m = float(observer._points[:, 2].mean())
    camera.close()
    print(json.dumps({"before": before, "after": after, "depth_m": depth_m}))
    rclpy.shutdown()


if __name__ == "__main__":
    main()
