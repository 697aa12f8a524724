"""The training loop: one optimizer step after another, stoppable at any of them."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch

from mfpolicy.config.budget import snapshot_steps
from mfpolicy.config.schema import TrainConfig
from mfpolicy.data.joint import Windows
from mfpolicy.policy import Policy, save_policy
from mfpolicy.policy.tensor_file import discard_unfinished, flush_to_disk
from mfpolicy.training.checkpoint import (
    TrainingState,
    flatten,
    load_state,
    newest_state,
    require_fit,
    save_state,
    unflatten,
)
from mfpolicy.training.distributed import World
from mfpolicy.training.divergence import first_diverged, stop_diverged
from mfpolicy.training.ema import Ema
from mfpolicy.training.heldout import METRIC, Heldout
from mfpolicy.training.logging import METRICS, Sink
from mfpolicy.training.progress import Progress
from mfpolicy.training.run_folder import STATE, holds
from mfpolicy.training.schedule import ema_decay
from mfpolicy.training.snapshots import save_snapshot
from mfpolicy.training.stopping import stop_requested
from mfpolicy.training.update import Update


class Trainer:
    """Weights, averages, optimizer and step of a run.

    Everything random is a function of the seed and the step, so a state restored at step k goes
    on exactly as the run that never stopped.

    Args:
        policy: on the device that trains.
        windows: the data, on the same device.
        config: the run's configuration.
        heldout: windows that are measured and not trained on.
        world: this process among those that train together.

    Attributes:
        step: optimizer steps done.
        interrupted: a signal ended the run before its budget was spent.
        stopped_early: the held-out error ended it.
    """

    def __init__(
        self,
        policy: Policy,
        windows: Windows,
        config: TrainConfig,
        *,
        heldout: Windows | None = None,
        world: World | None = None,
    ) -> None:
        self.policy = policy
        self.windows = windows
        self.config = config
        self.world = world if world is not None else World()
        self.ema = Ema(policy)
        # Copies of the policy come before Update: a compiled function, copied, keeps its weights.
        self.heldout: Heldout | None = None
        if heldout is not None:
            self.heldout = Heldout(policy, heldout, config.validation, seed=config.seed)
        if policy.objective.needs_average:
            policy.follow(self.ema.averaged(policy))
        self.update = Update(policy, windows, config, self.world)
        self.progress = Progress(config, windows=len(windows))
        self.snapshots = snapshot_steps(config.training.snapshots, self.progress.steps)
        self.step = 0
        self.last_loss: float | None = None
        self.interrupted = self.stopped_early = False
        self._window: dict[str, list[torch.Tensor]] = defaultdict(list)
        self._error: float | None = None

    def run(self, folder: Path, sinks: Sequence[Sink]) -> None:
        """Trains until the budget is spent, or to a Ctrl-C or SIGTERM; saves either way.

        Raises:
            RunError: the loss is not finite, or has exploded.
        """
        options = self.config.training
        saved = self.step
        self.progress.start()
        mark, marked = time.perf_counter(), self.step
        with stop_requested() as stop:
            while not self._ends(stop):
                self._one_step()
                if self.step % options.log_every == 0:
                    mark, marked = self._log(mark, marked, sinks, folder)
                if self.step in self.snapshots and self.world.leads:
                    save_snapshot(folder, self.step, self.policy, self.ema.state())
                if self.step % options.checkpoint_every == 0:
                    saved = self._save(folder)
            if not self.interrupted and self._window:
                self._log(mark, marked, sinks, folder)
                saved = -1  # a checkpoint of this step holds these metrics as not yet logged
            if saved != self.step or not (folder / "model.safetensors").is_file():
                self._save(folder)
            self.world.wait()

    @property
    def logged(self) -> int:
        """The step up to which lines of the log stand; a resume tells what follows anew."""
        return self.step - len(self._window.get("loss", ()))

    def restore(self, folder: Path) -> None:
        """Takes up the newest whole checkpoint of the run folder, if there is one.

        ``model.safetensors`` is written anew from it where it is another policy: a crash can have
        left an older one.

        Raises:
            RunError: the checkpoints are damaged, or do not fit a configuration that was forced
                on the run.
        """
        state = load_state(folder / STATE, tidy=self.world.leads)
        if state is None:
            return
        require_fit(state, self.policy.state_dict(), steps=self.progress.steps)
        self.policy.load_state_dict(unflatten("policy", state.tensors))
        self.ema.load(unflatten("ema", state.tensors))
        self._restore_optimizer(state.tensors)
        self.step = state.step
        self.progress.resume_at(state.numbers.get("seconds", 0.0))
        if self.heldout is not None:
            self.heldout.restore(state.numbers)
        for name, values in unflatten("unlogged", state.tensors).items():
            self._window[name] = list(values.to(self.policy.device).unbind())
        self._error = state.numbers.get("unlogged_error")
        for group in self.update.optimizer.param_groups:
            group["lr"] = state.numbers["learning_rate"]
        averaged = self.ema.state()
        if not self.world.leads:
            return
        discard_unfinished(folder)
        if not holds(folder, self.policy.spec, averaged):
            save_policy(self.policy, folder, state=averaged)

    def _ends(self, stop: threading.Event) -> bool:
        """Whether no further step follows, and why."""
        asked, self._seconds = self.world.agree(stop=stop.is_set(), seconds=self.progress.seconds)
        over = self.progress.is_over(self.step, self._seconds)
        self.stopped_early = not over and self.heldout is not None and self.heldout.is_stale
        self.interrupted = asked and not over and not self.stopped_early
        return over or asked or self.stopped_early

    def _one_step(self) -> None:
        options = self.config.training
        total_steps = self.progress.total_steps(self.step, self._seconds)
        for name, value in self.update(self.step, total_steps=total_steps).items():
            self._window[name].append(value)
        self.step += 1
        decay = ema_decay(
            self.step,
            power=options.ema_power,
            max_decay=options.ema_max_decay,
            share=options.ema_share,
        )
        self.ema.update(decay=decay)
        if self.heldout is not None and self.heldout.is_due(self.step):
            error = self.heldout.measure(self.ema.state()) if self.world.leads else 0.0
            self._error = self.world.from_lead(error)
            self.heldout.note(self._error)

    def _log(
        self, mark: float, marked: int, sinks: Sequence[Sink], folder: Path
    ) -> tuple[float, int]:
        """Writes the means since the last line; returns when and at which step that was."""
        rate = (self.step - marked) * self.config.training.batch_size
        rate /= time.perf_counter() - mark
        means = {n: float(torch.stack(values).mean()) for n, values in self._window.items()}
        means = self.world.mean(means)
        self.last_loss = means["loss"]
        lr = self.update.optimizer.param_groups[0]["lr"]
        line = {"step": self.step, **means, "learning_rate": lr, "samples_per_s": round(rate, 1)}
        if self._error is not None:
            line[METRIC], self._error = self._error, None
        for sink in sinks:
            sink.write(line)
        self._stop_if_diverged(folder)
        self._window.clear()
        return time.perf_counter(), self.step

    def _stop_if_diverged(self, folder: Path) -> None:
        """Refuses to go on from a step that diverged, and to save over a good checkpoint."""
        found = first_diverged(self._window, max_loss=self.config.training.max_loss)
        if found is None:
            return
        place, metrics = found
        step = self.step - len(self._window["loss"]) + place
        stop_diverged(
            folder,
            step=step + 1,
            metrics=metrics,
            batch=self.update.batch_of(step),
            checkpoint=newest_state(folder / STATE),
        )

    def _save(self, folder: Path) -> int:
        self._stop_if_diverged(folder)
        if not self.world.leads:
            return self.step
        rate = float(self.update.optimizer.param_groups[0]["lr"])
        numbers = {"seconds": self.progress.seconds, "learning_rate": rate}
        if self.heldout is not None:
            numbers |= self.heldout.to_numbers()
        if self._error is not None:
            numbers["unlogged_error"] = self._error
        unlogged = {name: torch.stack(values) for name, values in self._window.items()}
        tensors = {
            **flatten("policy", self.policy.state_dict()),
            **flatten("ema", dict(zip(self.ema.names, self.ema.averages, strict=True))),
            **self._optimizer_tensors(),
            **flatten("unlogged", unlogged),
        }
        if (folder / METRICS).is_file():  # no step may be durable whose line is not
            flush_to_disk(folder / METRICS)
        save_state(folder / STATE, TrainingState(self.step, tensors, numbers))
        save_policy(self.policy, folder, state=self.ema.state())
        return self.step

    def _optimizer_tensors(self) -> dict[str, torch.Tensor]:
        tensors: dict[str, torch.Tensor] = {}
        for name, parameter in self.policy.named_parameters():
            for key, value in self.update.optimizer.state.get(parameter, {}).items():
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
                self.update.optimizer.state[parameter] = {
                    key: value.to(parameter.device) for key, value in moments.items()
                }
