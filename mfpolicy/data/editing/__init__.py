"""A dataset from datasets: merged, split, chosen from, resampled, or computed again from depth.

Every command is a plan of which episode comes of which, carried out by one loop
(:mod:`mfpolicy.data.editing.rewriting`): one episode in memory, each committed at once.
"""

from mfpolicy.data.editing.merge import ARRAYS, DUPLICATES, merge
from mfpolicy.data.editing.rate import ACTIONS, BEYOND, RateChange
from mfpolicy.data.editing.recompute import recompute
from mfpolicy.data.editing.resample import METHODS, resample
from mfpolicy.data.editing.rewriting import EditReport
from mfpolicy.data.editing.selection import parse_episodes
from mfpolicy.data.editing.split import parse_parts, split
from mfpolicy.data.editing.subset import subset

__all__ = [
    "ACTIONS",
    "ARRAYS",
    "BEYOND",
    "DUPLICATES",
    "METHODS",
    "EditReport",
    "RateChange",
    "merge",
    "parse_episodes",
    "parse_parts",
    "recompute",
    "resample",
    "split",
    "subset",
]
