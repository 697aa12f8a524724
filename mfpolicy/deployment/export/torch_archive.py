"""A policy as a ``torch.export`` archive: needs PyTorch, but not this package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch.export import ExportedProgram

from mfpolicy.deployment.export.parity import Decide


def write_archive(program: ExportedProgram, path: Path, texts: Mapping[str, str]) -> None:
    """Writes a ``.pt2`` file; ``torch.export.load`` reads it, ``extra_files`` gives the texts."""
    torch.export.save(program, path, extra_files=dict(texts))


def decider(program: ExportedProgram) -> Decide:
    """Returns the graph as a function of numpy arrays."""
    graph = program.module()

    def decide(cloud: np.ndarray, state: np.ndarray, noise: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return graph(*(torch.from_numpy(x) for x in (cloud, state, noise))).numpy()

    return decide
