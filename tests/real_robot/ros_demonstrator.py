"""The demonstrator's side of a test of the recorder: a robot, its leader, and who calls services.

Run by a Python that has rclpy. Reads words from stdin, one a line: a service, ``spin SECONDS``,
``mute TOPIC`` or ``unmute TOPIC``, and answers each by a line of JSON.
"""

import json
import math
import sys
import time

import rclpy
from ros_peer import Robot
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

NODE = "/demonstration_recorder"


class Demonstrator(Robot):
    def __init__(self):
        super().__init__()
        self.has_leader = True
        commands = self.create_publisher(JointTrajectory, "/leader", 10)
        self.create_timer(0.02, lambda: self.lead(commands))

    def lead(self, publisher):
        """A slow swing of both joints; the arm is where it was told to be."""
        if not self.has_leader:
            return
        target = 0.3 * math.sin(time.monotonic() / 2)
        self.position = [target, -target]
        message = JointTrajectory(joint_names=["b", "a"])
        message.points.append(JointTrajectoryPoint(positions=[-target, target]))
        publisher.publish(message)

    def note(self, message):
        if message.status[0].name.startswith(NODE[1:]):
            super().note(message)

    def ask(self, service):
        """Asks until it is answered: the server of a killed node seems to be there for a while."""
        client = self.create_client(Trigger, f"{NODE}/{service}")
        for _ in range(20):
            client.wait_for_service(60)
            future = client.call_async(Trigger.Request())
            rclpy.spin_until_future_complete(self, future, timeout_sec=3)
            if future.done():
                return {"ok": future.result().success, "message": future.result().message}
        return {"ok": False, "message": "no answer"}


def main():
    rclpy.init()
    demonstrator = Demonstrator()
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        answer = {}
        if word == "spin":
            demonstrator.spin(float(rest))
            answer = demonstrator.diagnostics
        elif word in ("mute", "unmute"):
            setattr(demonstrator, f"has_{rest}", word == "unmute")
        else:
            answer = demonstrator.ask(word)
        print(json.dumps(answer), flush=True)
    rclpy.shutdown()


if __name__ == "__main__":
    main()
