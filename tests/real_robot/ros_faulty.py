"""A robot whose sensors fail as they are told; run by a Python that has rclpy.

Reads words from stdin, one a line: ``configure``, ``activate``, a service of the node, ``spin
SECONDS``, or ``fault NAME``, which ends the one before. Answers each by a line of JSON.
"""

import array
import json
import sys

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from ros_peer import ACTIVATE, CONFIGURE, Robot
from std_srvs.srv import Trigger

AHEAD_S = 10


class Faulty(Robot):
    fault = "none"

    def publish_cloud(self, publisher):
        message = self.message
        kept = message.data, message.header.frame_id, message.fields[0].datatype
        if self.fault == "nan_cloud":
            message.data = array.array("B", np.full(3 * 1024, np.nan, "<f4").tobytes())
        elif self.fault == "garbage":
            message.fields[0].datatype = 77
        elif self.fault == "wrong_frame":
            message.header.frame_id = "elsewhere"
        message.header.stamp = self.get_clock().now().to_msg()
        if self.fault == "stamps_ahead":
            stamp = message.header.stamp
            message.header.stamp = Time(sec=stamp.sec + AHEAD_S, nanosec=stamp.nanosec)
        for _ in range({"camera_stall": 0, "flood": 30}.get(self.fault, 1)):
            publisher.publish(message)
        message.data, message.header.frame_id, message.fields[0].datatype = kept

    def publish_joints(self, publisher):
        for _ in range({"joints_stall": 0, "flood": 10}.get(self.fault, 1)):
            super().publish_joints(publisher)


def main():
    rclpy.init()
    robot = Faulty()
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word in ("configure", "activate"):
            answer = robot.change({"configure": CONFIGURE, "activate": ACTIVATE}[word])
        elif word == "spin":
            commands = robot.spin(float(rest))
            answer = {"commands": commands, **robot.diagnostics}
        elif word == "fault":
            robot.fault, answer = rest, {}
        else:
            reply = robot.call(Trigger, word)
            answer = {"ok": reply.success, "message": reply.message}
        print(json.dumps(answer), flush=True)
    rclpy.shutdown()


if __name__ == "__main__":
    main()
