"""The controller's node where PyTorch is: run by a Python with rclpy, after whose own packages
those of the folder named first are found.
"""

import sys

sys.path.append(sys.argv.pop(1))

from real_robot.ros2.node import main  # noqa: E402

if __name__ == "__main__":
    raise SystemExit(main())
