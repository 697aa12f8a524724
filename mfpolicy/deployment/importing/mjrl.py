"""Policies of mjrl (those of DAPG, Rajeswaran et al., 2018) as plain arrays, never executed.

A pickle of ``mjrl.policies.gaussian_mlp.MLP`` holds the network of the mean action, the log of the
noise and copies of both. Only the mean is read: with v = (o - in_shift) / (in_scale + 1e-8), layers
with tanh between them give y, and the action is y out_scale + out_shift.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.deployment.importing.torch_file import LOADED, tensor_with_storage
from mfpolicy.errors import RunError
from mfpolicy.inert import ARRAY_NAMES, Inert, PickleKind, array_of, read_inert

_MAX_LAYERS, _MAX_WIDTH = 16, 65_536
_ROUND_OFF = 1e-8  # mjrl's guard against a scale of zero
_MODEL = "mjrl.utils.fc_network.FCNetwork"
_POLICY = "mjrl.policies.gaussian_mlp.MLP"
_LIST, _LINEAR = "torch.nn.modules.container.ModuleList", "torch.nn.modules.linear.Linear"
_TORCH = (
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor_v2",
    "torch.nn.backends.thnn._get_thnn_function_backend",
    "torch._C._VariableFunctions",
    "torch._C._VariableFunctionsClass",
    "torch.tanh",
)
NAMES = frozenset(
    {_MODEL, _POLICY, _LIST, _LINEAR, LOADED, *_TORCH, *ARRAY_NAMES,
     "collections.OrderedDict", "builtins.getattr", "builtins.set"}
)  # fmt: skip
"""All that a policy's pickle may name; none of it is ever looked up."""

KIND = PickleKind("a policy of mjrl", RunError, 64 << 20, 200_000, NAMES)


@dataclass(frozen=True)
class MjrlPolicy:
    """The mean action of an mjrl policy.

    O observation dimensions, A action dimensions.

    Attributes:
        name: of the file. sha256: of its bytes.
        weights: of each layer, (in, out) float32. biases: (out,) float32.
        in_shift, in_scale: (O,) float32. out_shift, out_scale: (A,) float32.
    """

    name: str
    sha256: str
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    in_shift: np.ndarray
    in_scale: np.ndarray
    out_shift: np.ndarray
    out_scale: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """The policy as one network on (o - ``observation_mean``) / ``observation_scale``.

        The last layer takes the output's scale and shift into itself.
        """
        last = len(self.weights) - 1
        arrays = {
            "observation_mean": self.in_shift,
            "observation_scale": self.in_scale + np.float32(_ROUND_OFF),
        }
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if layer == last:
                weight, bias = weight * self.out_scale, bias * self.out_scale + self.out_shift
            arrays[f"weight_{layer}"], arrays[f"bias_{layer}"] = weight, bias
        return arrays


def read_mjrl_policy(path: Path) -> MjrlPolicy:
    """Reads a pickled MLP policy of mjrl without executing anything in it.

    Raises:
        RunError: the file is missing, damaged, names anything but the classes of such a policy, or
            describes a network of another kind.

    Example:
        >>> policy = read_mjrl_policy(Path("door-v0.pickle"))   # doctest: +SKIP
        >>> [weight.shape for weight in policy.weights]         # doctest: +SKIP
        [(39, 32), (32, 32), (32, 28)]
    """
    try:
        if path.stat().st_size > KIND.max_bytes:
            raise _unlike("at most 64 MiB", f"{path.stat().st_size} bytes")
        raw = path.read_bytes()
    except OSError as error:
        raise RunError("a policy must be a readable file", received=str(path)) from error
    policy = read_inert(io.BytesIO(raw), KIND)
    model = _attributes(policy, _POLICY).get("model")
    network = _attributes(model, _MODEL)
    _check_tanh(network.get("nonlinearity"))
    layers = _modules(_attributes(_modules(network).get("fc_layers"), _LIST))
    linear = [layers.get(str(index)) for index in range(len(layers))]
    if not 1 <= len(linear) <= _MAX_LAYERS or None in linear:
        raise _unlike("1 to 16 layers in order", sorted(map(str, layers))[:20])
    weights, biases = [], []
    for layer in linear:
        parameters = _mapping(_attributes(layer, _LINEAR).get("_parameters"))
        weights.append(_tensor(parameters.get("weight"), 2).T.copy())
        biases.append(_tensor(parameters.get("bias"), 1))
    inputs, outputs = weights[0].shape[0], weights[-1].shape[1]
    widths = [inputs, *(weight.shape[1] for weight in weights)]
    fits = all(w.shape[0] == n for w, n in zip(weights, widths, strict=False))
    if not fits or any(b.shape != (w.shape[1],) for w, b in zip(weights, biases, strict=True)):
        raise _unlike("layers that fit one another", [w.shape for w in weights])
    in_scale = _shift(network.get("in_scale"), inputs)
    if (in_scale < 0).any():
        raise _unlike("scales that are not negative", float(in_scale.min()))
    return MjrlPolicy(
        path.name,
        hashlib.sha256(raw).hexdigest(),
        tuple(weights),
        tuple(biases),
        _shift(network.get("in_shift"), inputs),
        in_scale,
        *(_shift(network.get(name), outputs) for name in ("out_shift", "out_scale")),
    )


def _attributes(found: Any, reference: str) -> Mapping[Any, Any]:
    """What would have been set on an object of the class ``reference``."""
    known = isinstance(found, Inert) and found.reference == reference
    if known and isinstance(found.state, Mapping):
        return found.state
    what = found.reference if isinstance(found, Inert) else type(found).__name__
    raise _unlike(f"an object of {reference}", what)


def _modules(attributes: Mapping[Any, Any]) -> Mapping[Any, Any]:
    return _mapping(attributes.get("_modules"))


def _mapping(found: Any) -> Mapping[Any, Any]:
    if isinstance(found, Inert) and found.reference == "collections.OrderedDict":
        if found.entries or not found.arguments:
            return found.entries
        pairs = found.arguments[0]  # the form of Python 2 and protocols 0 and 1
        if isinstance(pairs, list) and all(isinstance(p, list) and len(p) == 2 for p in pairs):
            return {str(name): value for name, value in pairs}
    if isinstance(found, Mapping):
        return found
    raise _unlike("mappings of parts by name", type(found).__name__)


def _check_tanh(found: Any) -> None:
    """The pickle names a torch function through ``getattr``, or by its own name."""
    named = found.arguments[1:] if isinstance(found, Inert) else ()
    reference = getattr(found, "reference", "")
    if named != ("tanh",) and not str(reference).endswith(".tanh"):
        raise _unlike("tanh between its layers", named or reference or type(found).__name__)


def _shift(found: Any, size: int) -> np.ndarray:
    values = _tensor(found, 1)
    if values.shape != (size,):
        raise _unlike(f"shifts and scales of {size} entries", values.shape)
    return values


def _tensor(found: Any, rank: int) -> np.ndarray:
    """(…) float32, from a tensor or an array of numpy."""
    if isinstance(found, Inert) and found.reference.startswith("torch."):
        values = tensor_with_storage(found).numpy()
    else:
        values = array_of(found, KIND)
    values = values.astype(np.float32)
    if values.ndim != rank or max(values.shape, default=0) > _MAX_WIDTH:
        raise _unlike(f"a weight of {rank} dimensions", values.shape)
    if not np.isfinite(values).all():
        raise _unlike("finite weights", "NaN or infinity")
    return np.ascontiguousarray(values)


def _unlike(rule: str, received: object) -> RunError:
    return RunError(
        f"a policy of mjrl must have {rule}",
        received=received,
        remedy="give a pickle of mjrl.policies.gaussian_mlp.MLP, as DAPG's policies are",
    )
