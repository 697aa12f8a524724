"""Cold start and memory of one policy, in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from mfpolicy.deployment.bench.contenders import Contender
from mfpolicy.errors import RunError


def cold_start(contender: Contender) -> dict[str, float]:
    """Starts Python, loads and compiles the policy and decides once.

    Returns:
        start_s: from the start of the process to the first actions. compile_s: of them, until the
        policy is compiled from its weights. memory_mib: the most that the process held.

    Raises:
        RunError: the process failed.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(contender.threads)}
    words = [sys.executable, "-m", __name__, json.dumps(dataclasses.asdict(contender))]
    began = time.perf_counter()
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunError(
            "the process that measures a cold start must end well", received=done.stderr[-2000:]
        )
    answer = json.loads(done.stdout.splitlines()[-1])
    return {"start_s": time.perf_counter() - began, **answer}


def _measure(contender: Contender) -> dict[str, float]:
    import numpy as np

    from mfpolicy.deployment.bench.measure import observation_for

    began = time.perf_counter()
    runtime = contender.compile()
    compiled = time.perf_counter()
    runtime(observation_for(runtime, np.random.default_rng(0)))
    return {"compile_s": compiled - began, "memory_mib": _most_memory_mib()}


def _most_memory_mib() -> float:
    """The most that this process held. Linux counts it anew for a new program only here."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    print(json.dumps(_measure(Contender(**json.loads(sys.argv[1])))))
