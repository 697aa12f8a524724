"""The run folder of an imported policy: what evaluation, export and load_policy take."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from mfpolicy.deployment.importing.convert import Imported
from mfpolicy.errors import RunError
from mfpolicy.policy import save_policy

CONFIG = "config.yaml"


def check_free(out: Path) -> None:
    """Refuses a folder that has something in it already.

    Raises:
        RunError: it exists and is not an empty folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(
            "the run folder must be new or empty", received=str(out), remedy="choose another out="
        )


def write_run(imported: Imported, out: Path, *, checkpoint: Path, weights: str) -> Path:
    """Writes ``model.safetensors`` and ``config.yaml``, which says where they come from.

    Raises:
        RunError: the folder is not free, or cannot be written.
    """
    import yaml

    check_free(out)
    save_policy(imported.policy, out)
    text = yaml.safe_dump(_config(imported, checkpoint, weights), sort_keys=False)
    try:
        (out / CONFIG).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{out} must be writable", received=str(error)) from error
    return out


def _config(imported: Imported, checkpoint: Path, weights: str) -> dict[str, Any]:
    spec = imported.policy.spec
    shape = ("n_obs_steps", "horizon", "n_action_steps", "points")
    with checkpoint.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "policy": {"name": spec.preset, **{name: getattr(spec, name) for name in shape}},
        "encoder": dict(spec.encoder),
        "network": dict(spec.network),
        "objective": dict(spec.objective),
        "task": spec.task,
        "imported": {
            "checkpoint": checkpoint.name,
            "sha256": digest,
            "kind": imported.kind,
            "weights": weights,
            "dropped": [dataclasses.asdict(each) for each in imported.dropped],
        },
    }
