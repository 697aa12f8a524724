"""A step that diverged: found, its batch kept for inspection, the run stopped."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from mfpolicy.errors import RunError
from mfpolicy.types import Batch

FOLDER = "diverged"


def first_diverged(
    window: Mapping[str, Sequence[torch.Tensor]], *, max_loss: float
) -> tuple[int, dict[str, float]] | None:
    """Returns the place of the first step that diverged and what was logged there, or None.

    A step has diverged where loss or gradient norm are not finite, or the loss is above
    ``max_loss``.

    Args:
        window: what each step logged, by name, in order.
        max_loss: largest loss of a step that still trains.
    """
    if not window:
        return None
    loss = torch.stack(list(window["loss"]))
    norm = torch.stack(list(window["grad_norm"]))
    bad = (~loss.isfinite() | ~norm.isfinite() | (loss > max_loss)).nonzero()
    if not len(bad):
        return None
    place = int(bad[0])
    count = len(loss)
    complete = {name: values for name, values in window.items() if len(values) == count}
    return place, {name: float(values[place]) for name, values in complete.items()}


def stop_diverged(
    run: Path, *, step: int, metrics: Mapping[str, float], batch: Batch, checkpoint: Path | None
) -> None:
    """Saves the batch of the step and raises.

    The batch is written to ``diverged/step-N.safetensors``, in environment units, with the metrics
    as metadata; saving must not hide the reason, so a full disk is passed over.

    Raises:
        RunError: always; names the step, the batch and the last good checkpoint.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path = run / FOLDER / f"step-{step:08d}.safetensors"
    tensors = {
        name: value.detach().cpu().contiguous()
        for name, value in vars(batch).items()
        if isinstance(value, torch.Tensor)
    }
    named = {name: value if math.isfinite(value) else str(value) for name, value in metrics.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path, metadata={"step": str(step), "metrics": json.dumps(named)})
        kept = f"the batch is in {path}"
    except (OSError, SafetensorError) as error:
        kept = f"its batch could not be saved ({error})"
    good = f"the last good checkpoint is {checkpoint}" if checkpoint else "there is no checkpoint"
    raise RunError(
        f"the loss must stay finite and below training.max_loss; at step {step} it was not",
        received=dict(metrics),
        remedy=f"lower training.learning_rate; {kept}; {good}",
    )
