"""One optimizer step: gradient of a batch in pieces, clipping, learning rate."""

from __future__ import annotations

from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from mfpolicy.config.schema import TrainConfig
from mfpolicy.data.joint import Windows
from mfpolicy.policy import Policy
from mfpolicy.training.augmentation import augmenter_of
from mfpolicy.training.compilation import compile_network
from mfpolicy.training.distributed import World, micro_batches_of
from mfpolicy.training.randomness import augmentation_generator, noise_generator
from mfpolicy.training.sampling import sampler_of
from mfpolicy.training.schedule import learning_rate_factor
from mfpolicy.types import Batch

Losses = tuple[torch.Tensor, dict[str, torch.Tensor]]


class Update:
    """The optimizer of a policy, and what one step of it does.

    A batch goes through the policy in ``micro_batches`` pieces, each with noise and augmentations
    that are functions of (seed, step, piece). A process of several takes its share of the pieces;
    gradients are the mean over all of them either way.

    Args:
        policy: on the device that trains.
        windows: the data, on the same device.
        config: the run's configuration.
        world: this process among those that train together.

    Raises:
        ConfigError: the batch is larger than the data, or cannot be divided as asked, or an
            augmentation cannot be applied to this data.
        BackendError: this machine cannot compile.
    """

    def __init__(self, policy: Policy, windows: Windows, config: TrainConfig, world: World) -> None:
        options = config.training
        self.policy, self.windows, self.config, self.world = policy, windows, config, world
        self.pieces = micro_batches_of(
            world, batch_size=options.batch_size, micro_batches=options.micro_batches
        )
        self.sampler = sampler_of(windows, config)
        self.augmenter = augmenter_of(config, policy)
        self.optimizer = torch.optim.AdamW(
            policy.parameters(),
            lr=options.learning_rate,
            betas=options.betas,
            weight_decay=options.weight_decay,
            fused=True,
        )
        if options.compile != "none":
            compile_network(policy, mode=options.compile)
        self._loss: nn.Module = _Loss(policy, options.draws)
        if world.size > 1:
            # Which parameters a piece reaches depends on its draws (dropped conditions).
            self._loss = nn.parallel.DistributedDataParallel(
                self._loss, find_unused_parameters=True
            )

    def __call__(self, step: int, *, total_steps: float) -> dict[str, torch.Tensor]:
        """Takes step number ``step`` and returns what to log, each a detached scalar."""
        options = self.config.training
        self.policy.objective.progress = step / total_steps
        logged = self._accumulate(step)
        norm = nn.utils.clip_grad_norm_(self.policy.parameters(), options.grad_clip_norm)
        factor = learning_rate_factor(step, steps=total_steps, warmup_steps=options.warmup_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = options.learning_rate * factor
        self.optimizer.step()
        return {**logged, "grad_norm": norm}

    def batch_of(self, step: int) -> Batch:
        """Returns the whole batch of a step, as the policy saw it."""
        rows = self.sampler.rows(step)
        if self.augmenter is None:
            return self.windows.batch(rows)
        pieces = [self._piece(step, n, own) for n, own in enumerate(rows.chunk(self.pieces))]
        parts = [dict(vars(piece)) for piece in pieces]
        numbered = 0
        for part in parts:  # each piece numbers its frames from 0
            count = part["frame"].numel()
            part["frame"] = part["frame"] + numbered
            numbered += count
        known = [name for name, value in parts[0].items() if value is not None]
        return Batch(**{name: torch.cat([part[name] for part in parts]) for name in known})

    def _piece(self, step: int, piece: int, rows: torch.Tensor) -> Batch:
        """The windows ``rows``, augmented."""
        batch = self.windows.batch(rows)
        if self.augmenter is None:
            return batch
        seed, device = self.config.seed, self.policy.device
        return self.augmenter(
            batch,
            lambda name: augmentation_generator(seed, step, device, piece=piece, name=name),
        )

    def _accumulate(self, step: int) -> dict[str, torch.Tensor]:
        """Leaves the gradient in the parameters and returns the pieces' mean losses."""
        own = self.pieces // self.world.size
        rows = self.sampler.rows(step).chunk(self.pieces)
        logged: dict[str, list[torch.Tensor]] = defaultdict(list)
        for index in range(own):
            piece = self.world.rank * own + index
            generator = noise_generator(self.config.seed, step, self.policy.device, piece=piece)
            with self._synchronised(last=index == own - 1):
                with self._precision():
                    loss, diagnostics = self._loss(self._piece(step, piece, rows[piece]), generator)
                if index == 0:
                    # Freed before the forward pass, the last gradient's memory would go back to
                    # the system and be faulted in again: a tenth of a step on a CPU.
                    self.optimizer.zero_grad(set_to_none=True)
                (loss / own).backward()
            for name, value in {"loss": loss.detach(), **diagnostics}.items():
                logged[name].append(value)
        return {name: torch.stack(values).mean() for name, values in logged.items()}

    def _synchronised(self, *, last: bool) -> AbstractContextManager[None]:
        """Processes exchange gradients once, in the last of their pieces."""
        if isinstance(self._loss, nn.parallel.DistributedDataParallel) and not last:
            return self._loss.no_sync()
        return nullcontext()

    def _precision(self) -> torch.autocast:
        low = self.config.training.precision == "bfloat16"
        return torch.autocast(self.policy.device.type, torch.bfloat16, enabled=low)


class _Loss(nn.Module):
    """The policy's loss as a forward pass, which is where gradients of processes meet."""

    def __init__(self, policy: Policy, draws: int) -> None:
        super().__init__()
        self.policy = policy
        self.draws = draws

    def forward(self, batch: Batch, generator: torch.Generator) -> Losses:
        return self.policy.loss(batch, generator, draws=self.draws)
