"""The training loop: one optimizer step after another, stoppable at any of them."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from mfpolicy.config.schema import TrainConfig
from mfpolicy.data import WindowDataset
from mfpolicy.errors import RunError
from mfpolicy.policy import Policy, save_policy
from mfpolicy.training.checkpoint import (
    TrainingState,
    flatten,
    load_state,
    save_state,
    unflatten,
)
from mfpolicy.training.ema import Ema
from mfpolicy.training.logging import Sink
from mfpolicy.training.randomness import BatchSampler, noise_generator
from mfpolicy.training.run_folder import STATE
from mfpolicy.training.schedule import ema_decay, learning_rate_factor
from mfpolicy.training.stopping import stop_requested


class Trainer:
    """Weights, averages, optimizer and step of a run.

    Everything random is a function of the seed and the step, so a state restored at step k goes
    on exactly as the run that never stopped.

    Args:
        policy: on the device that trains.
        windows: the data, on the same device.
        config: the run's configuration.
        fingerprint: of the data, kept with every checkpoint.
    """

    def __init__(
        self, policy: Policy, windows: WindowDataset, config: TrainConfig, *, fingerprint: str
    ) -> None:
        self.policy = policy
        self.windows = windows
        self.config = config
        self.fingerprint = fingerprint
        options = config.training
        self.sampler = BatchSampler(len(windows), batch_size=options.batch_size, seed=config.seed)
        self.optimizer = torch.optim.AdamW(
            policy.parameters(),
            lr=options.learning_rate,
            betas=options.betas,
            weight_decay=options.weight_decay,
            fused=True,
        )
        self.ema = Ema(policy)
        self.step = 0
        self.last_loss: float | None = None
        self.interrupted = False

    def run(self, folder: Path, sinks: Sequence[Sink]) -> None:
        """Trains to the last step, or to a Ctrl-C or SIGTERM; saves either way.

        Raises:
            RunError: the loss is not finite.
        """
        options = self.config.training
        window: dict[str, list[torch.Tensor]] = defaultdict(list)
        mark, marked = time.perf_counter(), self.step
        saved = self.step
        last: dict[str, torch.Tensor] = {}
        with stop_requested() as stop:
            while self.step < options.steps and not stop.is_set():
                last = self._one_step()
                for name, value in last.items():
                    window[name].append(value)
                if self.step % options.log_every == 0 or self.step == options.steps:
                    seconds = time.perf_counter() - mark
                    rate = (self.step - marked) * options.batch_size / seconds
                    self._log(window, rate, sinks, folder)
                    window.clear()
                    mark, marked = time.perf_counter(), self.step
                if self.step % options.checkpoint_every == 0:
                    self._require_finite(last, folder)
                    saved = self._save(folder)
            self.interrupted = self.step < options.steps
            if saved != self.step or not (folder / "model.safetensors").is_file():
                self._require_finite(last, folder)
                self._save(folder)

    def restore(self, folder: Path) -> None:
        """Takes up the newest whole checkpoint of the run folder, if there is one.

        Raises:
            RunError: the data are not those the run was trained on.
        """
        state = load_state(folder / STATE)
        if state is None:
            return
        if state.fingerprint != self.fingerprint:
            raise RunError(
                "a resumed run must go on with the data it was trained on",
                received=self.config.data,
                remedy="give the run's own dataset, or choose another out=",
            )
        self.policy.load_state_dict(unflatten("policy", state.tensors))
        self.ema.load(unflatten("ema", state.tensors))
        self._restore_optimizer(state.tensors)
        self.step = state.step

    def _one_step(self) -> dict[str, torch.Tensor]:
        options = self.config.training
        generator = noise_generator(self.config.seed, self.step, self.policy.device)
        batch = self.windows.batch(self.sampler.rows(self.step))
        self.policy.objective.progress = self.step / options.steps
        loss, diagnostics = self.policy.loss(batch, generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.policy.parameters(), options.grad_clip_norm)
        factor = learning_rate_factor(
            self.step, steps=options.steps, warmup_steps=options.warmup_steps
        )
        for group in self.optimizer.param_groups:
            group["lr"] = options.learning_rate * factor
        self.optimizer.step()
        self.step += 1
        decay = ema_decay(self.step, power=options.ema_power, max_decay=options.ema_max_decay)
        self.ema.update(decay=decay)
        return {"loss": loss.detach(), "grad_norm": norm, **diagnostics}

    def _log(
        self,
        window: dict[str, list[torch.Tensor]],
        rate: float,
        sinks: Sequence[Sink],
        folder: Path,
    ) -> None:
        metrics = {name: float(torch.stack(values).mean()) for name, values in window.items()}
        self.last_loss = metrics["loss"]
        lr = self.optimizer.param_groups[0]["lr"]
        line = {"step": self.step, **metrics, "learning_rate": lr, "samples_per_s": round(rate, 1)}
        for sink in sinks:
            sink.write(line)
        self._require_finite(metrics, folder)

    def _require_finite(self, metrics: Mapping[str, float | torch.Tensor], folder: Path) -> None:
        """Refuses to go on from a step that diverged, and to save over a good checkpoint."""
        metrics = {name: float(value) for name, value in metrics.items()}
        if not all(math.isfinite(metrics.get(name, 0.0)) for name in ("loss", "grad_norm")):
            raise RunError(
                f"the loss must stay finite; at step {self.step} it was not",
                received=metrics,
                remedy="lower training.learning_rate; the last good checkpoint is in "
                f"{folder / STATE}",
            )

    def _save(self, folder: Path) -> int:
        tensors = {
            **flatten("policy", self.policy.state_dict()),
            **flatten("ema", dict(zip(self.ema.names, self.ema.averages, strict=True))),
            **self._optimizer_tensors(),
        }
        save_state(folder / STATE, TrainingState(self.step, tensors, self.fingerprint))
        save_policy(self.policy, folder, state=self.ema.state())
        return self.step

    def _optimizer_tensors(self) -> dict[str, torch.Tensor]:
        tensors: dict[str, torch.Tensor] = {}
        for name, parameter in self.policy.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer/{key}/{name}"] = value.detach().cpu().contiguous()
        return tensors

    def _restore_optimizer(self, tensors: dict[str, torch.Tensor]) -> None:
        for name, parameter in self.policy.named_parameters():
            moments = {
                key.split("/", 2)[1]: value.clone()
                for key, value in tensors.items()
                if key.startswith("optimizer/") and key.split("/", 2)[2] == name
            }
            if moments:
                self.optimizer.state[parameter] = {
                    key: value.to(parameter.device) for key, value in moments.items()
                }
