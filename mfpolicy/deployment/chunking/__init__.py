"""Chunk execution: which action to send at each control tick, and when to decide anew.

An executor is driven by control ticks and knows no clock, no thread and no policy; see
:class:`ChunkExecutor`. Nothing here imports torch but :mod:`mfpolicy.deployment.chunking.steering`,
the policy's side of a request.

Example:
    >>> import numpy as np
    >>> from mfpolicy.deployment import chunking
    >>> executor = chunking.build("receding_horizon", execute=2)
    >>> request = executor.request()
    >>> executor.deliver(request, np.array([[1.0], [2.0], [3.0]]))
    True
    >>> [executor.act().item(), executor.act().item()]
    [1.0, 2.0]
    >>> executor.request().step
    2
"""

from mfpolicy.deployment.chunking.executor import EXECUTIONS, ChunkExecutor, Counts
from mfpolicy.deployment.chunking.real_time_chunking import RealTimeChunking
from mfpolicy.deployment.chunking.receding_horizon import RecedingHorizon
from mfpolicy.deployment.chunking.request import Request
from mfpolicy.deployment.chunking.temporal_ensembling import TemporalEnsembling
from mfpolicy.deployment.chunking.warm_start import WarmStart

build = EXECUTIONS.build
names = EXECUTIONS.names

__all__ = [
    "EXECUTIONS",
    "ChunkExecutor",
    "Counts",
    "RealTimeChunking",
    "RecedingHorizon",
    "Request",
    "TemporalEnsembling",
    "WarmStart",
    "build",
    "names",
]
