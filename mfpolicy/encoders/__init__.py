"""Encoders: point clouds and robot states → condition.

Example:
    >>> from mfpolicy import encoders
    >>> encoders.build("pointnet", point_dim=3).output_dim
    64
"""

from mfpolicy.encoders.base import ENCODERS, CloudEncoder
from mfpolicy.encoders.observation import ObservationEncoder
from mfpolicy.encoders.pointnet import PointNet

build = ENCODERS.build
names = ENCODERS.names

__all__ = ["ENCODERS", "CloudEncoder", "ObservationEncoder", "PointNet", "build", "names"]
