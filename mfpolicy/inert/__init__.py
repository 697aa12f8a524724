"""Pickles of other projects as inert data: what they say, without running what they are.

A base module: datasets, checkpoints and policies of others are all read through it.
"""

from mfpolicy.inert.arrays import ARRAY_NAMES, array_of
from mfpolicy.inert.pickles import (
    CHECKPOINT,
    Global,
    Inert,
    Persistent,
    PickleKind,
    read_inert,
)

__all__ = [
    "ARRAY_NAMES",
    "CHECKPOINT",
    "Global",
    "Inert",
    "Persistent",
    "PickleKind",
    "array_of",
    "read_inert",
]
