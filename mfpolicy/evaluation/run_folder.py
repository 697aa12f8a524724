"""What an evaluation reads of a run folder, besides the policy itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mfpolicy.errors import RunError
from mfpolicy.policy.files import WEIGHTS, read_spec
from mfpolicy.types import DATA_FILE, DATASETS, RAYCAST

CONFIG, METRICS, STATE = "config.yaml", "metrics.jsonl", "training_state"

_REMEDIES = {
    CONFIG: "copy the run folder again, whole; or train again with the same out=",
    WEIGHTS: "train until the first checkpoint (`mfpolicy train … resume=true` goes on), "
    "or copy the run folder again, whole",
}


def check_run(run: Path) -> None:
    """Refuses a folder that is not a whole run.

    Raises:
        RunError: the folder, or a file of it, is missing; the message names it.
    """
    if not run.is_dir():
        raise RunError(
            "a run must be a folder written by `mfpolicy train`",
            received=str(run),
            remedy="check the path, or train first",
        )
    for name, remedy in _REMEDIES.items():
        if not (run / name).is_file():
            raise RunError(f"a run folder must hold {name}", received=str(run), remedy=remedy)


def check_unseen(run: Path, seeds: range, task: str | None = None) -> None:
    """Refuses seeds that the run's demonstrations began from.

    An episode from such a seed starts as a demonstration did, which would count memory as success.

    Args:
        run: the run folder.
        seeds: of the evaluation.
        task: which of several tasks is evaluated: its demonstrations alone count.

    Raises:
        RunError: evaluation and demonstrations share seeds, or there are several tasks and none
            is named.
        TaskError: a policy of several tasks was not trained for this one.
    """
    spec = read_spec(run)
    if spec.several and task is None:
        raise RunError(
            "the evaluation of a policy of several tasks must say which",
            received=str(run),
            remedy=f"add task={spec.tasks[0]}, or another of {', '.join(spec.tasks)}",
        )
    if spec.several and task is not None:
        spec = spec.for_task(task)
    demonstrated = spec.demonstration_seeds or ()
    shared = sorted(set(seeds).intersection(demonstrated))
    if shared:
        raise RunError(
            "evaluation seeds must not be those of the demonstrations",
            received=f"{len(shared)} shared: {shared[0]} to {shared[-1]}",
            remedy=f"begin later, for example with seed={max(10000, max(demonstrated) + 1)}",
        )


def check_renderer(run: Path, renderer: str | None, task: str | None = None) -> None:
    """Refuses to show a policy that sees colors those of another kind of renderer.

    Rays know neither light nor texture, so their colors are not those of OpenGL.

    Args:
        run: of a policy that sees colors; where it does not say its renderer, all is let through.
        renderer: of the environment, None where it does not say.
        task: which of several tasks it shows.

    Raises:
        RunError: one of both casts rays, the other does not.
    """
    import yaml

    path = run / DATA_FILE
    described = yaml.safe_load(path.read_text()) if path.is_file() else None
    if isinstance(described, dict) and task in described.get(DATASETS, {}):
        described = described[DATASETS][task]
    trained = described.get("renderer") if isinstance(described, dict) else None
    if None in (trained, renderer) or (trained == RAYCAST) == (renderer == RAYCAST):
        return
    raise RunError(
        "a policy that sees colors must be shown those of the renderer that it was trained with",
        received=f"{renderer}, trained with {trained}",
        remedy="evaluate where the same renderer works (`mfpolicy doctor` says which do), or "
        "collect and train with this one",
    )


def weights_sha256(run: Path) -> str:
    """The SHA-256 of the run's weights file, as it is on disk."""
    with (run / WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_config(run: Path) -> dict[str, Any]:
    """The run's resolved configuration.

    Raises:
        RunError: config.yaml is not a YAML mapping.
    """
    import yaml

    try:
        config = yaml.safe_load((run / CONFIG).read_text())
    except yaml.YAMLError as error:
        raise RunError(f"{run / CONFIG} must be YAML", received=str(error)) from error
    if not isinstance(config, dict):
        raise RunError(f"{run / CONFIG} must be a mapping", received=config)
    return config


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl in order, none where the run has none.

    A last line that a killed training left unfinished is passed over.

    Raises:
        RunError: another line is damaged.
    """
    path = run / METRICS
    if not path.is_file():
        return []
    text = path.read_text()
    lines = text[: text.rfind("\n") + 1].splitlines()
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise RunError(f"every line of {path} must be JSON", received=str(error)) from error


def checkpoint_step(run: Path) -> int | None:
    """Training steps behind the run's weights, None where the run does not say.

    Training saves its state under the step's number with the weights; a folder that was shared
    without the state still has its metrics.
    """
    states = (path.stem.rpartition("-")[2] for path in run.glob(f"{STATE}/step-*.safetensors"))
    steps = [int(step) for step in states if step.isdigit()]
    if steps:
        return max(steps)
    metrics = read_metrics(run)
    return metrics[-1]["step"] if metrics else None
