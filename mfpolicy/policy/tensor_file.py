"""A safetensors file that is either the old one or the new one, whenever the writer is stopped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch

from mfpolicy.errors import RunError

STAGING = ".writing"
"""Folder beside the file in which it is written; whatever is in it was never finished."""


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]
) -> None:
    """Writes ``path`` beside itself, flushes it to the disk and renames it into place.

    Args:
        path: the file; its folder is made if missing.
        tensors: by name, of any shape, on any device.
        metadata: text by key, for the header.

    Raises:
        RunError: the disk is full or the folder cannot be written; an older file is as it was.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    staging = path.parent / STAGING
    on_cpu = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        discard_unfinished(path.parent)
        staging.mkdir(parents=True)
        save_file(on_cpu, staging / path.name, metadata=dict(metadata))
        (staging / path.name).chmod(0o644)  # safetensors lets only the owner read
        flush_to_disk(staging / path.name)
        (staging / path.name).replace(path)
        flush_to_disk(path.parent)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"{path} must be written whole; what it held before is kept",
            received=str(error),
            remedy="free disk space, then go on from the last checkpoint with resume=true",
        ) from error
    finally:
        discard_unfinished(path.parent)


def discard_unfinished(folder: Path) -> None:
    """Removes what a writer that was killed left in ``folder``."""
    shutil.rmtree(folder / STAGING, ignore_errors=True)


def flush_to_disk(path: Path) -> None:
    """Has the system write a file, or the names in a folder, to the disk now.

    Raises:
        OSError: the disk refuses.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
