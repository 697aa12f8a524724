"""One process of a training run, ended by a signal at a random moment of its life."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mfpolicy.policy import load_policy
from mfpolicy.policy.tensor_file import STAGING
from mfpolicy.training.checkpoint import load_state
from mfpolicy.training.logging import METRICS
from mfpolicy.training.run_folder import STATE

TASK, POINTS, CHECKPOINT_EVERY = "metaworld/drawer-open", 16, 3
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
MOMENTS = ("start", "steps", "write")
ENDS = {
    signal.SIGKILL: {-signal.SIGKILL},
    signal.SIGTERM: {130, -signal.SIGTERM},
    signal.SIGINT: {130, -signal.SIGINT},
}
"""Exit codes: 130 where the signal was answered, minus the signal where the start was cut off."""
PATIENCE_S = 600
Started = tuple[subprocess.Popen[bytes], Path]


@dataclass(frozen=True)
class Cycle:
    """One process and its end.

    Attributes:
        signal, moment: what was sent, and when it was due.
        seconds: how long the process had run by then.
        exit_code: of the process.
        left_unfinished: files that it left half written.
        step: of the newest checkpoint afterwards.
    """

    signal: str
    moment: str
    seconds: float
    exit_code: int
    left_unfinished: int
    step: int


def start(data: Path, run: Path, steps: int, log: Path) -> subprocess.Popen[bytes]:
    """Starts the run or goes on with it."""
    words = [f"task={TASK}", f"data={data}", f"out={run}", "resume=true", "policy=mp1_small"]
    words += ["network.widths=[8,8,8]", "network.time_dim=8", "encoder.widths=[8,8]"]
    words += ["encoder.output_dim=8", "encoder.state.output_dim=8", f"policy.points={POINTS}"]
    words += [f"training.steps={steps}", "training.batch_size=8", "training.log_every=1"]
    words += [f"training.checkpoint_every={CHECKPOINT_EVERY}", "logging.wandb=disabled"]
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "mfpolicy", "train", *words],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )


def until(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    """Waits for a moment in the life of a process."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached() and process.poll() is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {process.pid} has not come so far in {PATIENCE_S} s")
        time.sleep(0.0005)


def last_step(run: Path) -> int:
    """The step of the last line of the log, 0 where there is none."""
    try:
        with (run / METRICS).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            return int(json.loads(file.read().splitlines()[-1])["step"])
    except (FileNotFoundError, IndexError, ValueError, KeyError, TypeError):
        return 0


def unfinished(run: Path) -> list[Path]:
    """Files that are being written."""
    return [file for folder in (run, run / STATE) for file in (folder / STAGING).glob("*")]


def checkpoint_step(run: Path) -> int:
    """The step of the newest checkpoint, which must be whole, as must the policy."""
    state = load_state(run / STATE, tidy=False)
    if state is None:
        return 0
    if (run / "model.safetensors").exists():
        load_policy(run)
    return state.step


def cycle(
    random: np.random.Generator, start_run: Callable[[], Started], run: Path, start_s: float
) -> Cycle:
    """Starts the run, ends it at a random moment, and looks at what is left."""
    number = SIGNALS[random.integers(len(SIGNALS))]
    moment = MOMENTS[random.integers(len(MOMENTS))]
    pause, more = random.uniform(), int(random.integers(1, 9))
    before = checkpoint_step(run)
    started = time.monotonic()
    process, log = start_run()
    if moment == "start":
        time.sleep(pause * start_s)
    else:
        until(process, lambda: last_step(run) >= before + more)
        if moment == "write":
            until(process, lambda: bool(unfinished(run)))
        time.sleep(pause * (0.004 if moment == "write" else 0.03))
    seconds = time.monotonic() - started
    process.send_signal(number)
    code = process.wait(timeout=PATIENCE_S)
    if code not in ENDS[number]:
        raise RuntimeError(f"{number.name} at {moment} ended with {code}:\n{log.read_text()}")
    after = checkpoint_step(run)
    if after < before:
        raise RuntimeError(f"the checkpoint of step {before} is lost; there is {after}")
    return Cycle(number.name, moment, round(seconds, 3), code, len(unfinished(run)), after)
