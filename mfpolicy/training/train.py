"""One training run from configuration to run folder."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from mfpolicy.config.convert import to_mapping
from mfpolicy.config.schema import TrainConfig
from mfpolicy.data import Dataset, Normalizer, WindowDataset
from mfpolicy.data.joint import Windows
from mfpolicy.policy import Policy
from mfpolicy.policy.files import check_device
from mfpolicy.policy.policy import DRAWING_WEIGHTS
from mfpolicy.presets import policy_spec, settled_encoder
from mfpolicy.training.distributed import (
    World,
    device_of,
    micro_batches_of,
    process_group,
    world_of_environment,
)
from mfpolicy.training.logging import Sink, sinks
from mfpolicy.training.loop import Trainer
from mfpolicy.training.run_folder import Claim, claim_run_folder
from mfpolicy.training.several import describe_datasets, load_windows, open_datasets
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
    clock). Of several tasks, each with a dataset of its own, it is one policy that is told its
    task. Started by ``torchrun``, its processes train one policy together and the first of them
    writes.

    Args:
        config: the run.
        load: makes the windows, called as :class:`WindowDataset` is; runs may share their data.

    Raises:
        DataError: a dataset is damaged, or does not fit its task, the policy or the others.
        RunError: the run folder is in use for another run or cannot be written, a resume does not
            fit it, or training diverged.
        ConfigError: a value has no meaning for this data.
        BackendError: this machine has no such device.
    """
    started = time.perf_counter()
    world = world_of_environment()
    device = check_device(device_of(world, config.device))
    datasets = open_datasets(config)
    windows, heldout = load_windows(load, datasets, config, device)
    config = settled(config, world)
    claim = claim_run_folder(config, describe_datasets(datasets, config))
    policy = _build(config, datasets, windows, claim).to(device)
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


def settled(config: TrainConfig, world: World) -> TrainConfig:
    """Returns the configuration as a run keeps it.

    The number of processes decides the pieces of a batch; augmentations and auxiliary losses that
    are off are left out, what is of several tasks where there is one, and how far is magnified
    where the tasks' suite says of no position.
    """
    options, encoder = config.training, dict(config.encoder)
    if "relative_near_m" in encoder:
        own = settled_encoder(encoder, config.tasks)
        encoder["relative_near_m"] = own["relative_near_m"]
    pieces = micro_batches_of(
        world, batch_size=options.batch_size, micro_batches=options.micro_batches
    )
    return dataclasses.replace(
        config,
        encoder=encoder,
        training=dataclasses.replace(options, micro_batches=pieces),
        augment={name: own for name, own in config.augment.items() if own["enabled"]},
        auxiliary={name: own for name, own in config.auxiliary.items() if own["enabled"]},
        multitask=config.multitask if len(config.tasks) > 1 else None,
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


def _build(
    config: TrainConfig, datasets: Mapping[str, Dataset], windows: Windows, claim: Claim
) -> Policy:
    dataset = next(iter(datasets.values()))  # they agree in what is read here
    recipe = dataset.spec.recipe
    if recipe is not None:
        recipe = dataclasses.replace(recipe, points=windows.points)
    sizes = {name: getattr(windows, name) for name in ("point_dim", "state_dim", "action_dim")}
    several = config.multitask
    spec = dataclasses.replace(
        policy_spec(config, **sizes, tasks=config.tasks),
        points=windows.points,
        task=None if several else config.tasks[0],
        control_rate_hz=dataset.spec.control_rate_hz,
        recipe=recipe.to_dict() if recipe is not None else None,
        demonstration_seeds=claim.seeds,
        auxiliary={
            name: {key: value for key, value in own.items() if key != "enabled"}
            for name, own in config.auxiliary.items()
        },
        multitask={"condition": several.condition, "tasks": claim.seeds_of} if several else {},
    )
    with DRAWING_WEIGHTS, torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return Policy(spec, Normalizer.fit(windows))
