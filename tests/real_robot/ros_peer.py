"""The robot's side of a test of the node: publishes clouds and joints, obeys, and notes what came.

Run by a Python that has rclpy; writes one line of JSON.
"""

import array
import json
import sys
import time

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState, PointCloud2, PointField
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

CONFIGURE, ACTIVATE, DEACTIVATE = 1, 3, 4
NODE = "/policy_controller"


class Robot(Node):
    def __init__(self):
        super().__init__("robot")
        self.position, self.has_cloud = [0.0, 0.0], True
        self.received, self.diagnostics = [], {}
        cloud, joints = (
            self.create_publisher(kind, topic, qos_profile_sensor_data)
            for kind, topic in ((PointCloud2, "/cloud"), (JointState, "/joint_states"))
        )
        xyz = np.random.default_rng(0).uniform(-0.9, 0.9, (1024, 3)).astype("<f4")
        xyz[:, 2] = 1.0
        fields = [
            PointField(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate("xyz")
        ]
        self.message = PointCloud2(
            height=1, width=1024, fields=fields, point_step=12, row_step=12 * 1024,
            data=array.array("B", xyz.tobytes()),
        )  # fmt: skip
        self.message.header.frame_id = "camera"
        self.create_timer(0.1, lambda: self.publish_cloud(cloud))
        self.create_timer(0.02, lambda: self.publish_joints(joints))
        self.create_subscription(JointTrajectory, "/commands", self.obey, 10)
        self.create_subscription(DiagnosticArray, "/diagnostics", self.note, 10)

    def publish_cloud(self, publisher):
        if self.has_cloud:
            self.message.header.stamp = self.get_clock().now().to_msg()
            publisher.publish(self.message)

    def publish_joints(self, publisher):
        message = JointState(name=["a", "b"], position=self.position, velocity=[0.0, 0.0])
        message.header.stamp = self.get_clock().now().to_msg()
        message.effort = [0.0, 0.0]
        publisher.publish(message)

    def obey(self, message):
        self.received.append([list(point.positions) for point in message.points])
        self.position = list(message.points[0].positions)

    def note(self, message):
        (status,) = message.status
        values = {pair.key: pair.value for pair in status.values}
        self.diagnostics = {"level": status.level[0], "message": status.message, **values}

    def spin(self, seconds):
        """Spins for a time; how many commands came."""
        before, end = len(self.received), time.monotonic() + seconds
        while time.monotonic() < end:
            rclpy.spin_once(self, timeout_sec=0.02)
        return len(self.received) - before

    def call(self, kind, name, **fields):
        client = self.create_client(kind, f"{NODE}/{name}")
        assert client.wait_for_service(60), name
        future = client.call_async(kind.Request(**fields))
        rclpy.spin_until_future_complete(self, future, timeout_sec=60)
        return future.result()

    def change(self, number):
        request = ChangeState.Request()
        request.transition.id = number
        client = self.create_client(ChangeState, f"{NODE}/change_state")
        assert client.wait_for_service(60)
        future = client.call_async(request)
        rclpy.spin_until_future_complete(self, future, timeout_sec=60)
        return future.result().success


def main():
    rclpy.init()
    robot = Robot()
    said = {"configured": robot.change(CONFIGURE)}
    assert said["configured"], "see the node"
    robot.spin(1.0)
    said["armed_inactive"] = robot.call(Trigger, "arm").success
    said["activated"] = robot.change(ACTIVATE)
    said["disarmed"] = robot.spin(1.0)
    for _ in range(20):
        reply = robot.call(Trigger, "arm")
        if reply.success:
            break
        robot.spin(0.5)
    said["arm"] = reply.message
    said["moving"] = robot.spin(4.0)
    said["commands"] = robot.received[:]
    said["diagnostics"] = robot.diagnostics
    robot.has_cloud = False
    robot.spin(1.2)
    robot.spin(1.0)  # late messages of a slow machine
    said["stalled"] = robot.spin(1.5)
    said["stalled_diagnostics"] = robot.diagnostics
    robot.has_cloud = True
    said["resumed"] = robot.spin(3.0)
    robot.call(Trigger, "stop")
    robot.spin(0.5)
    said["stopped"] = robot.spin(1.5)
    said["stopped_diagnostics"] = robot.diagnostics
    said["armed_stopped"] = robot.call(Trigger, "arm").message
    said["reset"] = robot.call(Trigger, "reset").success
    said["deactivated"] = robot.change(DEACTIVATE)
    print(json.dumps(said))
    rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
