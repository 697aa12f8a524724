"""Recordings of others → a dataset of ours: one file a format, and the loop that they share."""

from mfpolicy.data.converting import dapg as dapg
from mfpolicy.data.converting import dp3 as dp3
from mfpolicy.data.converting.base import FORMATS, Source, Target, guess_format
from mfpolicy.data.converting.convert import ConvertReport, convert

__all__ = ["FORMATS", "ConvertReport", "Source", "Target", "convert", "guess_format"]
