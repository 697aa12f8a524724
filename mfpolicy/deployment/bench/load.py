"""Other processes that keep the cores busy, to see how latency jitters beside them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_BUSY = """
import numpy as np
a = np.random.default_rng(0).random((512, 512), dtype=np.float32)
print("busy", flush=True)
while True:
    a = a @ a
    a /= abs(a).max()
"""


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keeps ``count`` processes multiplying matrices, one thread each, while the block runs."""
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    words = [sys.executable, "-c", _BUSY]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            started.append(subprocess.Popen(words, env=single, stdout=subprocess.PIPE))
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()  # it multiplies by now
        yield
    finally:
        for process in started:
            process.kill()
            process.communicate()
