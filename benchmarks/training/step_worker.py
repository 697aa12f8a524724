"""One contestant of ``step.py`` in a process of its own: takes a training step when it is told to.

Reads lines: a step's number, or ``end``. Answers each with a line of JSON: seconds of wall clock
and of processor time, or the memory that building the contestant and its steps took at most.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.training.reference import Averages, ReferencePolicy, draw_times, optimizer_of
from benchmarks.training.step_shortcuts import IN_MEMORY, WITHOUT
from mfpolicy.config import compose
from mfpolicy.config.schema import TrainConfig
from mfpolicy.data import Normalizer, WindowDataset, open_dataset
from mfpolicy.deployment.bench.checkout import (
    checkout_averages,
    checkout_batch,
    checkout_policy,
    load_weights,
)
from mfpolicy.deployment.importing.reference_names import padded_state
from mfpolicy.policy import Policy
from mfpolicy.presets import policy_spec
from mfpolicy.training.distributed import World
from mfpolicy.training.ema import Ema
from mfpolicy.training.randomness import BatchSampler
from mfpolicy.training.update import Update
from mfpolicy.types import Batch

SIZES = {"mp1": 32, "mp1_small": 128}
"""Preset and batch size; the loss is MP1's at both."""
TIGHT_BUDGET = 1 << 18
"""Bytes that leave no room for the clouds of ten demonstrations."""

Step = Callable[[int], None]


def configured(data: str, preset: str) -> TrainConfig:
    words = ["task=metaworld/drawer-open", f"data={data}", "out=none", f"policy={preset}"]
    return compose("train", [*words, "objective=mp1", f"training.batch_size={SIZES[preset]}"])


def opened(config: TrainConfig, *, in_memory: bool = True) -> WindowDataset:
    shape = config.policy
    windows = WindowDataset(
        open_dataset(config.data_of[config.tasks[0]]),
        n_obs_steps=shape.n_obs_steps,
        horizon=shape.horizon,
        n_action_steps=shape.n_action_steps,
        points=shape.points,
        memory_budget_bytes=4 << 30 if in_memory else TIGHT_BUDGET,
    )
    assert windows.streamed is not in_memory
    return windows


def fresh_policy(config: TrainConfig, windows: WindowDataset) -> Policy:
    sizes = {"state_dim": windows.state_dim, "action_dim": windows.action_dim}
    torch.manual_seed(0)
    return Policy(policy_spec(config, point_dim=3, **sizes), Normalizer.fit(windows))


def our_step(config: TrainConfig, windows: WindowDataset, without: list[str]) -> Step:
    """The step of ``mfpolicy train``: batch, loss, gradient, clipping, AdamW, EMA."""
    policy = fresh_policy(config, windows)
    for name in without:
        WITHOUT[name](policy)
    update, ema = Update(policy, windows, config, World()), Ema(policy)

    def step(number: int) -> None:
        update(number, total_steps=1000)
        ema.update(decay=0.99)

    return step


def normalised_batches(config: TrainConfig, windows: WindowDataset) -> Callable[[int], Batch]:
    """The same batches for the reference, which need not load or normalise them in its step."""
    normalizer = Normalizer.fit(windows)
    sampler = BatchSampler(len(windows), batch_size=config.training.batch_size, seed=config.seed)

    def batch_of(number: int) -> Batch:
        batch = windows.batch(sampler.rows(number))
        return dataclasses.replace(
            batch,
            point_cloud=normalizer.point_cloud(batch.point_cloud),
            agent_pos=normalizer.agent_pos(batch.agent_pos),
            action=normalizer.action(batch.action),
        )

    return batch_of


def rebuilt_policy(config: TrainConfig, windows: WindowDataset) -> ReferencePolicy:
    return ReferencePolicy(
        state_dim=windows.state_dim,
        action_dim=windows.action_dim,
        widths=tuple(config.network["widths"]),
    )


def rebuilt_step(config: TrainConfig, windows: WindowDataset) -> Step:
    batch_of, policy = normalised_batches(config, windows), rebuilt_policy(config, windows)
    optimizer, averages = optimizer_of(policy), Averages(policy)

    def step(number: int) -> None:
        generator = torch.Generator().manual_seed(number)
        batch = batch_of(number)
        noise = torch.randn(batch.action.shape, generator=generator)
        policy.loss(batch, noise, *draw_times(len(noise), generator)).backward()
        optimizer.step()
        optimizer.zero_grad()
        averages.update(policy, 0.99)

    return step


def repository_policy(config: TrainConfig, windows: WindowDataset, checkout: Path) -> Any:
    return checkout_policy(
        checkout,
        state_dim=windows.state_dim,
        action_dim=windows.action_dim,
        widths=tuple(config.network["widths"]),
        points=windows.points,
    )


def repository_step(config: TrainConfig, windows: WindowDataset, checkout: Path) -> Step:
    """The lines of the repository's train.py: loss, gradient, AdamW, EMA."""
    batch_of = normalised_batches(config, windows)
    policy = repository_policy(config, windows, checkout)
    optimizer, average = optimizer_of(policy), checkout_averages(policy)

    def step(number: int) -> None:
        loss, _ = policy.compute_loss(checkout_batch(batch_of(number)))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        average(policy)

    return step


def agreement(data: str, checkout: Path) -> dict[str, float]:
    """Loss of the repository, of the rebuilt form and the largest difference of their gradients.

    At the small size, with the weights of our policy and the repository's own draws.
    """
    import numpy as np

    config = configured(data, "mp1_small")
    windows = opened(config)
    weights = padded_state(fresh_policy(config, windows))
    rebuilt = rebuilt_policy(config, windows)
    rebuilt.load_state_dict(weights)
    repository = repository_policy(config, windows, checkout)
    load_weights(repository, weights)
    batch = normalised_batches(config, windows)(0)
    rows = len(batch.action)
    np.random.seed(5)  # noqa: NPY002, the repository draws from the global state
    torch.manual_seed(5)
    loss, _ = repository.compute_loss(checkout_batch(batch))
    loss.backward()
    draws = np.random.RandomState(5)  # noqa: NPY002
    pairs = 1 / (1 + np.exp(-(draws.randn(rows, 2).astype(np.float32) - 0.4)))
    t, r = pairs.max(axis=1), pairs.min(axis=1)
    equal = draws.permutation(rows)[: rows // 2]
    r[equal] = t[equal]
    noise = torch.randn(batch.action.shape, generator=torch.Generator().manual_seed(5))
    again = rebuilt.loss(batch, noise, torch.from_numpy(r), torch.from_numpy(t))
    again.backward()
    theirs = dict(repository.named_parameters())
    apart = max(float((theirs[n].grad - p.grad).abs().max()) for n, p in rebuilt.named_parameters())
    return {"repository": float(loss), "rebuilt": float(again), "gradients_apart": apart}


def build(contestant: str, config: TrainConfig, windows: WindowDataset, checkout: str) -> Step:
    if contestant == "repository":
        return repository_step(config, windows, Path(checkout))
    if contestant == "rebuilt":
        return rebuilt_step(config, windows)
    word, _, name = contestant.partition(" ")
    if word == "ours" or name == IN_MEMORY:
        return our_step(config, windows, [])
    return our_step(config, windows, list(WITHOUT) if name == "any" else [name])


def resident_kib(field: str) -> int:
    """``VmRSS``, what is resident now, or ``VmHWM``, the most that was."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def main() -> None:
    contestant, preset, data, checkout, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    if contestant == "agreement":
        print(json.dumps(agreement(data, Path(checkout))), flush=True)
        return
    config = configured(data, preset)
    streamed = contestant in (f"without {IN_MEMORY}", "without any")
    windows = opened(config, in_memory=not streamed)
    before = resident_kib("VmRSS")
    step = build(contestant, config, windows, checkout)
    for line in sys.stdin:
        if line.strip() == "end":
            break
        wall, cpu = time.perf_counter(), time.process_time()
        step(int(line))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(json.dumps({"wall_s": wall, "cpu_s": cpu}), flush=True)
    print(json.dumps({"peak_mib": (resident_kib("VmHWM") - before) / 1024}), flush=True)


if __name__ == "__main__":
    main()
