"""Encoders: point clouds and robot states → condition.

Example:
    >>> from mfpolicy import encoders
    >>> encoders.build("pointnet", point_dim=3).output_dim
    64
"""

from mfpolicy.encoders.apart import Apart
from mfpolicy.encoders.base import ENCODERS, CloudEncoder
from mfpolicy.encoders.observation import ObservationEncoder, build_observation_encoder
from mfpolicy.encoders.point_transformer import PointTransformer
from mfpolicy.encoders.pointnet import PointNet
from mfpolicy.encoders.pyramid import Pyramid
from mfpolicy.encoders.set_abstraction import SetAbstraction

build = ENCODERS.build
names = ENCODERS.names

__all__ = [
    "ENCODERS",
    "Apart",
    "CloudEncoder",
    "ObservationEncoder",
    "PointNet",
    "PointTransformer",
    "Pyramid",
    "SetAbstraction",
    "build",
    "build_observation_encoder",
    "names",
]
