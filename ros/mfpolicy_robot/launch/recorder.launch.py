"""Starts the recorder of demonstrations: idle, until its service ``~/start`` is called.

ros2 launch mfpolicy_robot recorder.launch.py parameters:=ROBOT.yaml recorder:=RECORDER.yaml
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue


def generate_launch_description() -> LaunchDescription:
    """The node, with the robot's parameters and its own."""
    is_simulated = ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)
    node = Node(
        package="mfpolicy_robot",
        executable="demonstration_recorder",
        name="demonstration_recorder",
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            LaunchConfiguration("parameters"),
            LaunchConfiguration("recorder"),
            {"use_sim_time": is_simulated},
        ],
        output="screen",
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument("parameters", description="YAML file of the robot"),
            DeclareLaunchArgument("recorder", description="YAML file of the recorder"),
            DeclareLaunchArgument("namespace", default_value="", description="of the node"),
            DeclareLaunchArgument("use_sim_time", default_value="false", description="use /clock"),
            node,
        ]
    )
