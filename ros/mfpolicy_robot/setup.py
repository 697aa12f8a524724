"""The ROS package: launch files, parameters, and the node of `real_robot` by the name ROS needs."""

import xml.etree.ElementTree
from glob import glob

from setuptools import setup

NAME = "mfpolicy_robot"

setup(
    name=NAME,
    version=xml.etree.ElementTree.parse("package.xml").findtext("version"),
    packages=[],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", glob("launch/*.launch.py")),
        (f"share/{NAME}/config", glob("config/*")),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="mfpolicy contributors",
    maintainer_email="maintainers@mfpolicy.invalid",
    description="Launch files and parameters of a policy controller for robots.",
    license="MIT",
    entry_points={
        "console_scripts": [
            "policy_controller = real_robot.ros2.node:main",
            "demonstration_recorder = real_robot.ros2.recorder:main",
        ]
    },
)
