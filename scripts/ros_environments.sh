#!/usr/bin/env bash
# Makes the ROS 2 environments of the tests, one for each distribution, from wheels: x86-64 Linux,
# Python 3.10 to 3.13. They are for tests; a robot uses the ROS of its own system.
# Usage: bash scripts/ros_environments.sh [FOLDER] [DISTRIBUTION...]
# The default is .ros with jazzy and kilted. PYTHON names the interpreter, python3 by default.
set -euo pipefail
cd "$(dirname "$0")/.."

folder="${1:-.ros}"
shift || true
[ "$#" -gt 0 ] || set -- jazzy kilted

for distribution in "$@"; do
  case "$distribution" in
    jazzy) wanted=("ros-jazzy-rclpy[fastrtps]==7.1.6" "ros-jazzy-common-interfaces==5.3.6") ;;
    kilted) wanted=("ros-kilted-rclpy[fastrtps]==9.1.2" "ros-kilted-common-interfaces==5.5.1") ;;
    *) echo "the distribution must be jazzy or kilted. Received: $distribution." >&2; exit 2 ;;
  esac
  environment="$folder/$distribution"
  if [ ! -x "$environment/bin/python" ]; then
    "${PYTHON:-python3}" -m venv "$environment"
  fi
  # what the robot's side of the package needs: no torch, no simulator; the recorder writes
  # zarr, and colcon builds the ROS package
  "$environment/bin/pip" install --quiet --no-compile -c constraints.txt \
    "${wanted[@]}" numpy pyyaml zarr numcodecs "fpsample; python_version < '3.13'" \
    colcon-core==0.21.3 colcon-ros==0.5.0 colcon-python-setup-py==0.2.9
  env -u LD_LIBRARY_PATH -u _ROS_WHEELS_BOOTSTRAP_COMPLETE ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST \
    "$environment/bin/python" -c "
import rclpy
rclpy.init()
rclpy.create_node('environment_check').destroy_node()
rclpy.shutdown()
"
  echo "$environment: ROS 2 $distribution works"
done
