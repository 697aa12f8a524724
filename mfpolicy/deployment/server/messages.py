"""What travels: requests as they are read and checked, greetings, answers and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgpack
import numpy as np
import torch

from mfpolicy import __version__
from mfpolicy.deployment.client.packing import PackingError, from_wire, to_wire
from mfpolicy.deployment.client.policy_client import PROTOCOL
from mfpolicy.errors import ConfigError, ObservationError, RequestError, UserError, did_you_mean
from mfpolicy.options import check_range, check_whole
from mfpolicy.policy import PolicySpec
from mfpolicy.policy.observation import checked_field
from mfpolicy.policy.policy import MAX_NOISE_SCALE

KEYS = ("id", "observation", "noise", "seed", "noise_scale")
FIELDS = ("point_cloud", "agent_pos")
MAX_SEED = 2**63 - 1
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Request:
    """A request that can be acted on.

    Attributes:
        observation: point_cloud (B, To, P, C) and agent_pos (B, To, S), float32 and finite, colors
            from 0 to 255.
        noise: (B, Th, A) float32, or None.
        seed: draws the noise where none is given.
        noise_scale: factor on the noise.
    """

    observation: dict[str, np.ndarray]
    noise: np.ndarray | None = None
    seed: int | None = None
    noise_scale: float = 1.0

    @property
    def rows(self) -> int:
        """B."""
        return len(self.observation["point_cloud"])


def unpacked(message: bytes | str) -> dict[str, Any]:
    """Returns the map that a message holds, values unchecked.

    Raises:
        RequestError: it is text, no MessagePack, or no map with text as keys.
    """
    if isinstance(message, str):
        raise RequestError(
            "a request must be a binary message",
            received="a text message",
            remedy="pack a map with MessagePack and send its bytes",
        )
    try:
        value = msgpack.unpackb(
            message,
            raw=False,
            strict_map_key=True,
            max_array_len=64,
            max_map_len=64,
            max_ext_len=0,
        )
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
        raise RequestError(
            "a request must be one MessagePack map of plain values",
            received=f"{type(error).__name__}: {error}"[:200],
            remedy=f"its keys are {', '.join(KEYS)}",
        ) from error
    if not isinstance(value, dict):
        raise RequestError("a request must be a map", received=type(value).__name__)
    return value


def checked_request(message: Mapping[str, Any], spec: PolicySpec, max_rows: int) -> Request:
    """Checks what a request holds against the policy that is served.

    Args:
        message: as :func:`unpacked` returned it.
        spec: of the policy.
        max_rows: most rows B of a request.

    Raises:
        UserError: an ObservationError, ConfigError or RequestError that says what does not fit.
    """
    _known(message, KEYS, "request")
    if not isinstance(message.get("observation"), dict):
        raise RequestError(
            "a request must have an observation, a map of point_cloud and agent_pos",
            received=type(message.get("observation")).__name__,
        )
    fields = message["observation"]
    _known(fields, FIELDS, "observation")
    arrays = {key: _array(key, value) for key, value in fields.items()}
    sizes = (None, spec.n_obs_steps, spec.points, spec.point_dim)
    cloud = checked_field(arrays, "point_cloud", sizes, _CPU)
    if len(cloud) > max_rows:
        raise RequestError(
            f"a request must have at most {max_rows} rows",
            received=len(cloud),
            remedy="split it, or raise max_batch of the server",
        )
    state = checked_field(arrays, "agent_pos", (len(cloud), spec.n_obs_steps, spec.state_dim), _CPU)
    observation = {"point_cloud": cloud.numpy(), "agent_pos": state.numpy()}
    noise, seed = message.get("noise"), message.get("seed")
    if noise is not None and seed is not None:
        raise ConfigError(
            "noise or seed can be given, not both", remedy="a seed is for drawing the noise"
        )
    if seed is not None:
        check_whole("seed", seed, 0, MAX_SEED)
    if noise is not None:
        noise = _noise(_array("noise", noise), (len(cloud), spec.horizon, spec.action_dim))
    return Request(observation, noise, seed, _scale(message.get("noise_scale")))


def greeting(spec: PolicySpec, limits: Mapping[str, int]) -> bytes:
    """Returns the message that a client gets when it connects."""
    about = {
        "task": spec.task,
        "preset": spec.preset,
        "n_obs_steps": spec.n_obs_steps,
        "horizon": spec.horizon,
        "n_action_steps": spec.n_action_steps,
        "points": spec.points,
        "point_dim": spec.point_dim,
        "state_dim": spec.state_dim,
        "action_dim": spec.action_dim,
        "control_rate_hz": spec.control_rate_hz,
        "recipe": None if spec.recipe is None else dict(spec.recipe),
        "shapes": {
            "point_cloud": [None, spec.n_obs_steps, spec.points, spec.point_dim],
            "agent_pos": [None, spec.n_obs_steps, spec.state_dim],
            "noise": [None, spec.horizon, spec.action_dim],
            "actions": [None, spec.n_action_steps, spec.action_dim],
        },
    }
    metadata = {
        "protocol": PROTOCOL,
        "version": __version__,
        "spec": about,
        "limits": dict(limits),
    }
    return _packed({"metadata": metadata})


def answer(identity: int | None, actions: np.ndarray, timing: Mapping[str, float]) -> bytes:
    """Returns the message that carries actions (B, Ta, A)."""
    return _packed({"id": identity, "actions": to_wire(actions), "server_timing": dict(timing)})


def refusal(identity: int | None, error: Exception) -> bytes:
    """Returns the message that carries an error; one that is no user's says where to look."""
    if not isinstance(error, UserError):
        error = RequestError(
            "the policy must be able to act on a request that fits it",
            received=type(error).__name__,
            remedy="see the server's log",
        )
    about = {
        "type": type(error).__name__,
        "message": str(error),
        "rule": error.rule,
        "received": error.received,
        "remedy": error.remedy,
    }
    return _packed({"id": identity, "error": about})


def identity_of(message: Mapping[str, Any]) -> int | None:
    """Returns the number that a request is known by, if it has a good one."""
    identity = message.get("id")
    return identity if type(identity) is int else None


def _packed(message: Mapping[str, Any]) -> bytes:
    # lone surrogates, which a JSON-like text may hold, must not break an error message
    return cast(bytes, msgpack.packb(message, unicode_errors="replace"))


def _known(given: Mapping[str, Any], known: Sequence[str], noun: str) -> None:
    for key in given:
        if key not in known:
            raise RequestError(
                f"a {noun} has no key of this name",
                received=str(key)[:100],
                remedy=did_you_mean(str(key)[:100], known),
            )


def _array(name: str, value: Any) -> np.ndarray:
    try:
        array = from_wire(value)
    except PackingError as error:
        raise ObservationError(
            f"{name} must be an array of numbers on the wire",
            received=str(error),
            remedy="send {dtype, shape, data}, float32 values in C order",
        ) from error
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and is refused
        return array.astype(np.float32, copy=False)


def _noise(noise: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    if noise.shape != shape:
        raise ObservationError(
            f"noise must have shape (B, Th, A) = {shape}", received=tuple(noise.shape)
        )
    if not np.isfinite(noise).all():
        raise ObservationError("noise must be finite", received="NaN or infinite values")
    return noise


def _scale(value: Any) -> float:
    if value is None:
        return 1.0
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ConfigError("noise_scale must be a number", received=type(value).__name__)
    check_range("noise_scale", value, 0, MAX_NOISE_SCALE)
    return float(value)
