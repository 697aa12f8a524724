"""Recordings of others ⇄ datasets of ours: one file a format, and the loops that they share."""

from mfpolicy.data.converting import dapg as dapg
from mfpolicy.data.converting import dp3 as dp3
from mfpolicy.data.converting import lerobot_v3 as lerobot_v3
from mfpolicy.data.converting import minari as minari
from mfpolicy.data.converting import point_files as point_files
from mfpolicy.data.converting import robomimic as robomimic
from mfpolicy.data.converting import ros as ros
from mfpolicy.data.converting import to_dp3 as to_dp3
from mfpolicy.data.converting.base import FORMATS, Source, Target, guess_format
from mfpolicy.data.converting.convert import ConvertReport, convert
from mfpolicy.data.converting.exporting import EXPORTS, Export, export

__all__ = [
    "EXPORTS",
    "FORMATS",
    "ConvertReport",
    "Export",
    "Source",
    "Target",
    "convert",
    "export",
    "guess_format",
]
