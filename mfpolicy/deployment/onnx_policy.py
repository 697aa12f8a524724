"""A policy that ONNX Runtime computes: an exported file as something that decides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mfpolicy import objectives
from mfpolicy.deployment.chunk_policy import fresh_generator
from mfpolicy.errors import BackendError, ObservationError, RunError
from mfpolicy.options import check_whole
from mfpolicy.policy import PolicySpec
from mfpolicy.policy.files import parse_spec
from mfpolicy.policy.observation import checked_field
from mfpolicy.policy.selection import starting_noise
from mfpolicy.policy.tasks import task_numbers
from mfpolicy.types import Observation

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MAX_THREADS = 1024


def load_onnx(path: str | os.PathLike[str], *, threads: int | None = None) -> OnnxPolicy:
    """Loads a file that ``mfpolicy export … format=onnx`` wrote.

    Args:
        path: the file.
        threads: CPU threads of a decision; None takes all cores.

    Raises:
        RunError: the file is missing, damaged, or no export of this package.
        BackendError: onnxruntime is not installed.
        ConfigError: ``threads`` is not a whole number of at least 1.

    Example:
        >>> decide = load_onnx("runs/drawer-open/policy.onnx")      # doctest: +SKIP
        >>> decide({"point_cloud": clouds, "agent_pos": states})    # doctest: +SKIP
    """
    if threads is not None:
        check_whole("threads", threads, 1, MAX_THREADS)
    path = Path(path)
    if not path.is_file():
        raise RunError(
            "an exported policy must be a file",
            received=str(path),
            remedy="write one with `mfpolicy export RUN format=onnx`",
        )
    session = open_session(path, threads)
    return OnnxPolicy(session, parse_spec(path, session.get_modelmeta().custom_metadata_map))


class OnnxPolicy:
    """An ONNX Runtime session as a chunk policy; make it with :func:`load_onnx`.

    Attributes:
        spec: what the policy is.
    """

    def __init__(self, session: InferenceSession, spec: PolicySpec) -> None:
        self.spec = spec
        self._session = session
        self._objective = objectives.build(**spec.objective)
        self._generator = fresh_generator()

    def __call__(
        self, observation: Observation | Mapping[str, Any], *, noise: np.ndarray | None = None
    ) -> np.ndarray:
        """Turns an observation into an action chunk.

        Args:
            observation: point_cloud (B, To, P, C) in metres in the world frame, colors from 0 to
                255, and agent_pos (B, To, S), numpy or torch.
            noise: (B, Th, A), distributed as the objective's noise; None draws it.

        Returns:
            Actions (B, Ta, A) float32 in the environment's units.

        Raises:
            ObservationError: a key is missing, a shape does not fit, or a value is not a finite
                number.
        """
        spec, cpu = self.spec, torch.device("cpu")
        sizes = (None, spec.n_obs_steps, spec.points, spec.point_dim)
        cloud = checked_field(observation, "point_cloud", sizes, cpu)
        rows = len(cloud)
        state = checked_field(
            observation, "agent_pos", (rows, spec.n_obs_steps, spec.state_dim), cpu
        )
        task_numbers(observation, spec, rows, cpu)  # another task than the graph's is refused
        shape = (rows, 1, spec.horizon, spec.action_dim)
        given = None if noise is None else _as_tensor(noise)
        e = starting_noise(shape, self._objective, cloud, given, self._generator)[:, 0]
        feed = {"point_cloud": cloud, "agent_pos": state, "noise": e}
        (actions,) = self._session.run(None, {name: x.numpy() for name, x in feed.items()})
        return np.asarray(actions)


def open_session(model: str | os.PathLike[str] | bytes, threads: int | None) -> InferenceSession:
    """Opens a model on the CPU, from a file or from its bytes.

    Raises:
        BackendError: onnxruntime is not installed.
        RunError: ONNX Runtime cannot read the model.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(
            "an ONNX policy needs the package onnxruntime",
            received="not installed",
            remedy="pip install 'mfpolicy[export]'",
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    source = model if isinstance(model, bytes) else os.fspath(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common base of their own
        raise RunError(
            "ONNX Runtime must be able to read the model",
            received=str(error).strip().partition("\n")[0],
            remedy="export it again; a copy that was cut short cannot be mended",
        ) from error


def _as_tensor(noise: np.ndarray) -> torch.Tensor:
    try:
        tensor = torch.as_tensor(noise).to(torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ObservationError(
            "noise must be an array of numbers", received=type(noise).__name__
        ) from error
    if not bool(torch.isfinite(tensor).all()):
        raise ObservationError("noise must be finite", received="NaN or infinite values")
    return tensor
