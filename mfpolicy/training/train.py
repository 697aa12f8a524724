"""One training run from configuration to run folder."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from mfpolicy.config.convert import to_mapping
from mfpolicy.config.schema import TrainConfig
from mfpolicy.data import Dataset, Normalizer, WindowDataset, open_dataset
from mfpolicy.errors import DataError
from mfpolicy.policy import Policy
from mfpolicy.policy.files import check_device
from mfpolicy.policy.policy import DRAWING_WEIGHTS
from mfpolicy.presets import policy_spec
from mfpolicy.training.data_description import describe_data
from mfpolicy.training.distributed import (
    World,
    device_of,
    micro_batches_of,
    process_group,
    world_of_environment,
)
from mfpolicy.training.heldout import split_episodes
from mfpolicy.training.logging import Sink, sinks
from mfpolicy.training.loop import Trainer
from mfpolicy.training.run_folder import claim_run_folder
from mfpolicy.training.teacher import prepare_teacher


@dataclass(frozen=True)
class TrainSummary:
    """What a training run came to.

    Attributes:
        run: the run folder.
        step: optimizer steps done in all.
        loss: mean loss of the last logged steps, None if no step was taken.
        seconds: wall-clock time of this call.
        samples_per_s: windows per second of this call.
        interrupted: stopped by Ctrl-C or SIGTERM; the state is saved and ``resume=true`` goes on.
        stopped_early: stopped by ``validation.patience``.
        planned_steps: steps of the whole run, None where the budget is a time.
    """

    run: Path
    step: int
    loss: float | None
    seconds: float
    samples_per_s: float
    interrupted: bool
    stopped_early: bool
    planned_steps: int | None


def train(
    config: TrainConfig, *, load: Callable[..., WindowDataset] = WindowDataset
) -> TrainSummary:
    """Trains a policy and writes its run folder.

    The folder holds ``config.yaml``, ``data.yaml`` (what the dataset is), ``model.safetensors``
    (averaged weights, with normaliser and spec inside), ``metrics.jsonl`` and
    ``training_state/``. The same configuration, data and machine give the same weights, also when
    the run was interrupted and resumed (except under a budget in time, which depends on the
    clock). Started by ``torchrun``, its processes train one policy together and the first of them
    writes.

    Args:
        config: the run.
        load: makes the windows, called as :class:`WindowDataset` is; runs may share their data.

    Raises:
        DataError: the dataset is damaged, or does not fit the task or the policy.
        RunError: the run folder is in use for another run or cannot be written, a resume does not
            fit it, or training diverged.
        ConfigError: a value has no meaning for this data.
        BackendError: this machine has no such device.
    """
    started = time.perf_counter()
    world = world_of_environment()
    device = check_device(device_of(world, config.device))
    dataset = open_dataset(config.data)
    _check_task(dataset, config)
    trained, held = split_episodes(dataset, config)
    windows = _windows(load, dataset, config, device, trained)
    heldout = _windows(load, dataset, config, device, held) if held else None
    config = settled(config, world)
    claim = claim_run_folder(config, describe_data(dataset, color=config.policy.color))
    policy = _build(config, dataset, windows, seeds=claim.seeds).to(device)
    teach = functools.partial(train, load=load)
    with process_group(world, device):
        if stopped := prepare_teacher(policy, windows, config, claim, teach, world):
            return stopped
        trainer = Trainer(policy, windows, config, heldout=heldout, world=world)
        if config.resume:
            trainer.restore(claim.run)
        world.wait()  # no process may look at the folder once another has changed it
        run = claim.take() if world.leads else claim.run
        first = trainer.step
        with _opened_sinks(config, run, trainer) as opened:
            trainer.run(run, opened)
    seconds = time.perf_counter() - started
    return TrainSummary(
        run=run,
        step=trainer.step,
        loss=trainer.last_loss,
        seconds=seconds,
        samples_per_s=(trainer.step - first) * config.training.batch_size / seconds,
        interrupted=trainer.interrupted,
        stopped_early=trainer.stopped_early,
        planned_steps=trainer.progress.steps,
    )


def _windows(
    load: Callable[..., WindowDataset],
    dataset: Dataset,
    config: TrainConfig,
    device: torch.device,
    episodes: list[int],
) -> WindowDataset:
    return load(
        dataset,
        n_obs_steps=config.policy.n_obs_steps,
        horizon=config.policy.horizon,
        n_action_steps=config.policy.n_action_steps,
        points=config.policy.points,
        color=config.policy.color,
        device=device,
        episodes=episodes,
    )


def settled(config: TrainConfig, world: World) -> TrainConfig:
    """Returns the configuration as a run keeps it.

    The number of processes decides the pieces of a batch; augmentations and auxiliary losses that
    are off are left out.
    """
    options = config.training
    pieces = micro_batches_of(
        world, batch_size=options.batch_size, micro_batches=options.micro_batches
    )
    return dataclasses.replace(
        config,
        training=dataclasses.replace(options, micro_batches=pieces),
        augment={name: own for name, own in config.augment.items() if own["enabled"]},
        auxiliary={name: own for name, own in config.auxiliary.items() if own["enabled"]},
    )


def _opened_sinks(
    config: TrainConfig, run: Path, trainer: Trainer
) -> AbstractContextManager[list[Sink]]:
    if not trainer.world.leads:
        return nullcontext([])
    return sinks(
        config.logging,
        run,
        steps=trainer.progress.steps,
        start=trainer.logged,
        run_config=to_mapping(config),
    )


def _check_task(dataset: Dataset, config: TrainConfig) -> None:
    stored = dataset.spec.task
    if stored is not None and stored != config.task:
        raise DataError(
            f"the dataset must show the task that is trained, {config.task!r}",
            received=stored,
            remedy=f"set task={stored} or give the data of {config.task}",
        )


def _build(
    config: TrainConfig, dataset: Dataset, windows: WindowDataset, *, seeds: list[int] | None
) -> Policy:
    recipe = dataset.spec.recipe
    if recipe is not None:
        recipe = dataclasses.replace(recipe, points=windows.points)
    sizes = {name: getattr(windows, name) for name in ("point_dim", "state_dim", "action_dim")}
    spec = dataclasses.replace(
        policy_spec(config, **sizes),
        points=windows.points,
        task=config.task,
        control_rate_hz=dataset.spec.control_rate_hz,
        recipe=recipe.to_dict() if recipe is not None else None,
        demonstration_seeds=seeds,
        auxiliary={
            name: {key: value for key, value in own.items() if key != "enabled"}
            for name, own in config.auxiliary.items()
        },
    )
    with DRAWING_WEIGHTS, torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return Policy(spec, Normalizer.fit(windows))
