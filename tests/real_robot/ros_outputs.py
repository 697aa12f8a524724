"""A robot that is driven by velocities: its joints by numbers, its tool by twists.

Run by a Python that has rclpy: ``python ros_outputs.py float64_multi_array`` or ``twist_stamped``.
Writes one line of JSON.
"""

import json
import sys
import time

import rclpy
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.qos import qos_profile_sensor_data
from ros_peer import ACTIVATE, CONFIGURE, Robot
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

STEP_S = 0.02


class Driven(Robot):
    """Goes at the velocity that was commanded last, as a driver does until the next one."""

    def __init__(self, kind):
        super().__init__()
        self.velocity, self.place, self.frames = [0.0, 0.0, 0.0], [0.0, 0.0, 0.3], set()
        self.velocities = []
        poses = self.create_publisher(PoseStamped, "/tool", qos_profile_sensor_data)
        self.create_timer(STEP_S, lambda: self.go(poses))
        if kind == "twist_stamped":
            self.create_subscription(TwistStamped, "/velocities", self.on_twist, 10)
        else:
            self.create_subscription(Float64MultiArray, "/velocities", self.on_numbers, 10)

    def on_twist(self, message):
        linear, angular = message.twist.linear, message.twist.angular
        assert (angular.x, angular.y, angular.z) == (0.0, 0.0, 0.0)
        age_s = self.get_clock().now().nanoseconds * 1e-9 - message.header.stamp.sec
        self.frames.add((message.header.frame_id, age_s < 5))
        self.command([linear.x, linear.y, linear.z])

    def on_numbers(self, message):
        assert len(message.data) == 2
        self.command([*message.data, 0.0])

    def command(self, velocity):
        self.velocity = velocity
        self.velocities.append(velocity)
        self.received.append(velocity)

    def go(self, publisher):
        self.place = [p + v * STEP_S for p, v in zip(self.place, self.velocity, strict=True)]
        self.position = [p + v * STEP_S for p, v in zip(self.position, self.velocity, strict=False)]
        message = PoseStamped()
        message.header.stamp, message.header.frame_id = self.get_clock().now().to_msg(), "world"
        place = message.pose.position
        place.x, place.y, place.z = self.place
        publisher.publish(message)


def main():
    rclpy.init()
    robot = Driven(sys.argv[1])
    said = {"configured": robot.change(CONFIGURE)}
    assert said["configured"], "see the node"
    assert robot.change(ACTIVATE)
    end_s = time.monotonic() + 30
    while not robot.call(Trigger, "arm").success and time.monotonic() < end_s:
        robot.spin(0.2)
    begin = robot.place + robot.position
    said["moving"] = robot.spin(2.0)
    said["moved"] = [
        now - was for now, was in zip(robot.place + robot.position, begin, strict=True)
    ]
    said["stopped"] = robot.call(Trigger, "stop").success
    robot.spin(0.5)
    said["last"] = robot.velocities[-1]
    said["silent"] = robot.spin(0.5)
    said["velocities"] = robot.velocities
    said["frames"] = sorted(robot.frames)
    said["diagnostics"] = robot.diagnostics
    print(json.dumps(said))
    rclpy.shutdown()


if __name__ == "__main__":
    main()
