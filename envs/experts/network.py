"""A small trained network as an expert, read from a file of arrays."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfpolicy.errors import BackendError

_SEEN_WITHIN = 10.0  # standard deviations


def expert_file(suite: str, task: str) -> Path:
    """Where the expert of a task lies in an installation: ``envs/experts/SUITE/TASK.npz``."""
    return Path(__file__).parent / suite / f"{task}.npz"


class NetworkExpert:
    """A multilayer perceptron: normalised observation, tanh between layers, action in [-1, 1].

    Layer i computes h ``weight_i`` + ``bias_i``; the input is (observation - ``observation_mean``)
    / ``observation_scale``, clipped to [-10, 10] unless told otherwise. Everything is float32.

    Args:
        arrays: ``weight_0`` (O, H), ``bias_0`` (H,), and so on to the last layer, whose width is
            A; ``observation_mean`` and ``observation_scale`` (O,).
        meta: where the weights come from.
        seen_within: standard deviations that normalised observations are clipped to.

    Attributes:
        sizes: O and A.

    Raises:
        BackendError: an array is missing, superfluous, of another type or shape, or not finite.

    Example:
        >>> arrays = {"weight_0": np.eye(2), "bias_0": np.zeros(2),
        ...           "observation_mean": np.ones(2), "observation_scale": np.full(2, 4)}
        >>> expert = NetworkExpert({name: np.float32(a) for name, a in arrays.items()})
        >>> expert.action(np.array([3.0, -9.0])).tolist()
        [0.5, -1.0]
    """

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        meta: Mapping[str, Any] | None = None,
        *,
        seen_within: float = _SEEN_WITHIN,
    ) -> None:
        self._seen_within = seen_within
        self.meta = dict(meta or {})
        count = sum(name.startswith("weight_") for name in arrays)
        wanted = {f"{kind}_{layer}" for layer in range(count) for kind in ("weight", "bias")}
        wanted |= {"observation_mean", "observation_scale"}
        if count == 0 or set(arrays) != wanted:
            raise _unreadable(f"arrays {sorted(arrays)}")
        self._mean, self._scale = arrays["observation_mean"], arrays["observation_scale"]
        self._layers = [(arrays[f"weight_{i}"], arrays[f"bias_{i}"]) for i in range(count)]
        width = self._mean.shape
        shapes = {"observation_scale": width}
        for layer, (weight, _) in enumerate(self._layers):
            if weight.ndim != 2 or weight.shape[:1] != width:
                raise _unreadable(f"weight_{layer} {weight.shape} after a layer of width {width}")
            width = weight.shape[1:]
            shapes[f"bias_{layer}"] = width
        for name, array in arrays.items():
            if array.dtype != np.float32 or not np.isfinite(array).all():
                raise _unreadable(f"{name} of type {array.dtype}, or not finite")
            if array.shape != shapes.get(name, array.shape):
                raise _unreadable(f"{name} of shape {array.shape}")
        if not (self._scale > 0).all():
            raise _unreadable("an observation_scale that is not positive")
        self.sizes = (len(self._mean), width[0])

    @classmethod
    def load(cls, path: Path) -> NetworkExpert:
        """Reads an expert; ``meta`` in the file is JSON text.

        Raises:
            BackendError: the file is missing or damaged.
        """
        if not path.is_file():
            raise BackendError(
                "a task needs an expert to be demonstrated, and the installation has none for it",
                received=str(path),
                remedy="choose a task that has one, such as adroit/door; say expert=FILE; or build "
                "it with scripts/build_adroit_expert.py",
            )
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            meta = json.loads(str(arrays.pop("meta")))
            if not isinstance(meta, dict):
                raise TypeError("meta is not a JSON object")
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise _unreadable(f"{path}: {type(error).__name__}: {error}") from error
        try:
            return cls(arrays, meta)
        except BackendError as error:
            raise _unreadable(f"{path}: {error.received}") from error

    def action(self, full_state: NDArray[np.float64]) -> NDArray[np.float32]:
        """(A,) action in [-1, 1] for the simulator's observation (O,)."""
        return np.clip(self.output(full_state), -1.0, 1.0).astype(np.float32)

    def output(self, full_state: NDArray[np.float64]) -> NDArray[np.float32]:
        """(A,) what the last layer says, not yet clipped."""
        observation = np.asarray(full_state, np.float32)
        hidden: NDArray[Any] = (observation - self._mean) / self._scale
        hidden = np.clip(hidden, -self._seen_within, self._seen_within)
        for layer, (weight, bias) in enumerate(self._layers):
            hidden = (np.tanh(hidden) if layer else hidden) @ weight + bias
        return hidden


def _unreadable(received: str) -> BackendError:
    return BackendError(
        "the expert of a task must be a readable file of weights in the installation",
        received=received,
        remedy="install mfpolicy again; in a checkout, restore envs/experts",
    )
