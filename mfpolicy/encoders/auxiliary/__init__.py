"""Auxiliary losses on the encoder: switched on by name, trained with the policy, never deployed.

Each is a file that registers in ``AUXILIARIES`` and a block below ``auxiliary`` in
``configs/train.yaml``. A loss that spreads embeddings needs no head and is an option of the
objective: ``objective.dispersive.kind=… objective.dispersive.source=encoder``.

Example:
    >>> from mfpolicy.encoders import auxiliary
    >>> auxiliary.names()
    ['next_state', 'reconstruction', 'state']
"""

from mfpolicy.encoders.auxiliary.base import AUXILIARIES, Auxiliary, Sizes
from mfpolicy.encoders.auxiliary.next_state import NextState
from mfpolicy.encoders.auxiliary.reconstruction import Reconstruction
from mfpolicy.encoders.auxiliary.state import StateFromCloud

build = AUXILIARIES.build
names = AUXILIARIES.names

__all__ = [
    "AUXILIARIES",
    "Auxiliary",
    "NextState",
    "Reconstruction",
    "Sizes",
    "StateFromCloud",
    "build",
    "names",
]
