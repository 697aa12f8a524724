"""Bags of ROS 1 and ROS 2 (sqlite3, MCAP) → a dataset of ours, without an installation of ROS.

A YAML file says which topics are what and where the camera stands (:class:`RosLayout`). One bag is
one episode. Steps are taken at a fixed rate; each gets the messages nearest in time, and how far
they are from it is reported and stored.
"""

from mfpolicy.data.converting.ros.layout import RosLayout, StreamLayout
from mfpolicy.data.converting.ros.source import RosSource

__all__ = ["RosLayout", "RosSource", "StreamLayout"]
