"""Several training runs at once in one process, where a single small run cannot fill the device.

Every run is a thread with a trainer of its own; PyTorch's operators release Python's lock, so the
threads compute at the same time. Nothing of a run changes: its steps are those of :func:`train`,
in the same order, so its weights are the same bit for bit (on a CPU, at the same number of threads
a run). Stacking the parameters of all runs into batched operators would launch fewer of them, but
their sums run in another order, and it asks for equal shapes, equal batch sizes and operators
without data-dependent shapes, which the critical points of a point cloud are not.

What runs of one process would share is taken care of elsewhere: forward mode, which one run is in
at a time (:mod:`mfpolicy.objectives.derivative`), signals (:mod:`mfpolicy.training.stopping`),
wandb's active run and the terminal (:mod:`mfpolicy.training.logging`), the global generator that
draws initial weights (:mod:`mfpolicy.policy.policy`).

On a CPU the runs share torch's threads: one thread for each of two runs does more than two threads
for one run, since a small operator does not divide well. On a GPU every run has a CUDA stream of
its own; there a small run waits for Python and for kernel launches, which threads overlap only as
far as Python's lock is free, so expect less than the number of runs, and nothing where one run
fills the GPU.
"""

from __future__ import annotations

import contextvars
import os
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from mfpolicy.config.schema import TrainConfig
from mfpolicy.errors import ConfigError, RunError, UserError
from mfpolicy.policy.files import check_device
from mfpolicy.training.checkpoint import load_state
from mfpolicy.training.distributed import world_of_environment
from mfpolicy.training.run_folder import STATE
from mfpolicy.training.shared_windows import SharedWindows
from mfpolicy.training.stopping import stop_requested
from mfpolicy.training.train import TrainSummary, train

RUNS_PER_GPU = 4


class TogetherError(RunError):
    """Some of several runs failed; the others were trained as if they had been alone.

    Attributes:
        outcomes: one for each configuration, in their order: its summary, or its error.
    """

    def __init__(
        self, configs: Sequence[TrainConfig], outcomes: Sequence[TrainSummary | Exception]
    ) -> None:
        self.outcomes = list(outcomes)
        failed = {
            config.out: str(outcome) if isinstance(outcome, UserError) else repr(outcome)
            for config, outcome in zip(configs, outcomes, strict=True)
            if isinstance(outcome, Exception)
        }
        super().__init__(
            f"each of {len(outcomes)} runs must train, but {len(failed)} failed",
            received="; ".join(f"{out}: {why}" for out, why in failed.items()),
            remedy="mend these and run them again; the others need nothing",
        )


def train_together(
    configs: Sequence[TrainConfig],
    *,
    workers: int | None = None,
    each: Callable[..., TrainSummary] = train,
) -> list[TrainSummary]:
    """Trains several runs at once, each exactly as :func:`train` does.

    Tasks, policies, objectives and batch sizes may differ; runs over the same data share them in
    memory. A run that fails stops no other. Ctrl-C or SIGTERM stops all after their current step;
    those under way save, those not yet begun are left as they are, and the same call with
    ``resume`` goes on exactly. A second Ctrl-C ends the call at once; the runs still save before
    the process ends.

    Args:
        configs: the runs, begun in this order; each has a folder ``out`` of its own.
        workers: how many train at a time. Each has its share of torch's threads. None takes as
            many as torch has threads, on a GPU as many as ``RUNS_PER_GPU``.
        each: trains one of them in its thread, called as :func:`train` is with ``load``; whoever
            keeps a record of each run wraps it.

    Returns:
        A summary for each configuration, in their order.

    Raises:
        ConfigError: there is no run, two runs have one folder, workers is below 1, the process is
            one of torchrun's, or runs that train at the same time are to be compiled.
        TogetherError: at least one run failed; its ``outcomes`` hold the errors and the summaries.
    """
    count = _checked_count(configs, workers)
    threads = torch.get_num_threads()
    load = SharedWindows()
    try:
        with (
            stop_requested() as stop,
            ThreadPoolExecutor(
                count,
                thread_name_prefix="train",
                initializer=torch.set_num_threads,
                initargs=(max(1, threads // count),),
            ) as pool,
        ):
            runs = [
                pool.submit(contextvars.copy_context().run, _run, each, config, load, stop)
                for config in configs
            ]
    finally:
        torch.set_num_threads(threads)
    outcomes = [run.result() for run in runs]
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if errors:
        raise TogetherError(configs, outcomes) from ExceptionGroup("the runs' errors", errors)
    return [outcome for outcome in outcomes if isinstance(outcome, TrainSummary)]


def _run(
    each: Callable[..., TrainSummary],
    config: TrainConfig,
    load: SharedWindows,
    stop: threading.Event,
) -> TrainSummary | Exception:
    try:
        if stop.is_set():
            return _not_begun(config)
        with _own_stream(config.device):
            return each(config, load=load)
    except Exception as error:
        traceback.clear_frames(error.__traceback__)  # they hold the run's weights
        return error


def _not_begun(config: TrainConfig) -> TrainSummary:
    state = load_state(Path(config.out) / STATE, tidy=False)
    return TrainSummary(
        run=Path(config.out),
        step=0 if state is None else state.step,
        loss=None,
        seconds=0.0,
        samples_per_s=0.0,
        interrupted=True,
        stopped_early=False,
        planned_steps=None if config.budget is not None else config.training.steps,
    )


def _own_stream(device: str) -> AbstractContextManager[object]:
    """A CUDA stream, so that kernels of one run need not wait for those of another."""
    where = check_device(device)
    return torch.cuda.stream(torch.cuda.Stream(where)) if where.type == "cuda" else nullcontext()


def _checked_count(configs: Sequence[TrainConfig], workers: int | None) -> int:
    """How many runs train at a time."""
    if not configs:
        raise ConfigError("there must be at least one run to train", received=list(configs))
    if workers is not None and workers < 1:
        raise ConfigError("workers must be at least 1", received=workers)
    if world_of_environment().size > 1:
        raise ConfigError(
            "runs side by side in one process cannot each be spread over torchrun's processes",
            remedy="start them without torchrun, or train one after another",
        )
    folders = Counter(os.path.realpath(config.out) for config in configs)
    twice = [folder for folder, times in folders.items() if times > 1]
    if twice:
        raise ConfigError(
            "each run must have a folder of its own", received=twice, remedy="give each its out="
        )
    count = min(workers if workers is not None else _default_workers(configs), len(configs))
    compiled = [config.out for config in configs if config.training.compile != "none"]
    if compiled and count > 1:
        raise ConfigError(
            "runs side by side must not be compiled: PyTorch traces one at a time in a process",
            received=compiled,
            remedy="leave training.compile at none, or train them in processes of their own",
        )
    return count


def _default_workers(configs: Sequence[TrainConfig]) -> int:
    on_cpu = {"cpu"} if torch.cuda.is_available() else {"cpu", "auto"}
    if all(config.device in on_cpu for config in configs):
        return torch.get_num_threads()
    return RUNS_PER_GPU
