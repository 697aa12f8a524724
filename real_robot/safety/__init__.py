"""Safety: what may reach the robot, and what is refused, by cause."""

from real_robot.safety.guard import Guard, Reply

__all__ = ["Guard", "Reply"]
