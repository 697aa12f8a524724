"""Networks: (z, r, t, condition) → average velocity u.

Example:
    >>> from mfpolicy import networks
    >>> net = networks.build("unet1d", action_dim=4, horizon=4, condition_dim=256)
    >>> net.horizon
    4
"""

from mfpolicy.networks.base import NETWORKS, Network
from mfpolicy.networks.mlp_mixer import MlpMixer
from mfpolicy.networks.transformer import Transformer
from mfpolicy.networks.unet1d import UNet1D

build = NETWORKS.build
names = NETWORKS.names

__all__ = ["NETWORKS", "MlpMixer", "Network", "Transformer", "UNet1D", "build", "names"]
