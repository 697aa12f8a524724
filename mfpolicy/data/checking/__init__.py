"""Checking and repairing datasets: a registry of checks, one family a file.

A new check is a class in a file of its own here, registered in ``CHECKS``, with its codes beside
it; import it below. It sees each array block by block, in the order of the steps.
"""

from mfpolicy.data.checking import (
    background,
    channels,
    clouds,
    duplicates,
    frame,
    images,
    motion,
    numbers,
    timing,
)
from mfpolicy.data.checking.base import CHECKS, Block, Check
from mfpolicy.data.checking.check import CheckReport, check_dataset
from mfpolicy.data.checking.findings import CODES, Code, Finding
from mfpolicy.data.checking.limits import CheckLimits
from mfpolicy.data.checking.repair import RepairReport, repair

__all__ = [
    "CHECKS",
    "CODES",
    "Block",
    "Check",
    "CheckLimits",
    "CheckReport",
    "Code",
    "Finding",
    "RepairReport",
    "background",
    "channels",
    "check_dataset",
    "clouds",
    "duplicates",
    "frame",
    "images",
    "motion",
    "numbers",
    "repair",
    "timing",
]
