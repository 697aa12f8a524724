"""A checkpoint of the released MP1, FlowPolicy or DP3 → a policy that decides alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mfpolicy.data.normalizer import ChannelNormalizer, Normalizer
from mfpolicy.deployment.importing.dead_taps import DeadTaps
from mfpolicy.deployment.importing.reference_names import load_padded, padded_state
from mfpolicy.deployment.importing.reference_options import FLOWPOLICY_TIME, kind_of, spec_of
from mfpolicy.deployment.importing.saved_options import SavedOptions
from mfpolicy.deployment.importing.torch_file import TorchFile, open_torch_file
from mfpolicy.errors import ConfigError, RunError
from mfpolicy.inert import Inert
from mfpolicy.networks import UNet1D
from mfpolicy.policy import Policy, PolicySpec
from mfpolicy.policy.files import DRAWING_WEIGHTS

FIELDS = ("point_cloud", "agent_pos", "action")
STATES = {"ema": "ema_model", "model": "model"}
_NORMALIZER = "normalizer.params_dict."
_APPLIED = {f"{_NORMALIZER}{name}.{part}" for name in FIELDS for part in ("scale", "offset")}
_IDLE = {
    "model.var_est.": "no output depends on it: the network's forward pass never calls it",
    "mask_generator.": "masks inpainted training examples, of which there are none",
    "_dummy_variable": "has no values",
}
"""What a checkpoint holds that decides no action, by the start of its name, and why."""


@dataclass(frozen=True)
class Dropped:
    """Weights of a checkpoint that decide nothing: how many, and why that is so."""

    name: str
    weights: int
    reason: str


@dataclass(frozen=True)
class Imported:
    """An imported policy.

    Attributes:
        kind: mp1, flowpolicy or dp3.
        policy: the policy, in evaluation mode.
        kept: numbers in its weights.
        dropped: what was left out.
    """

    kind: str
    policy: Policy
    kept: int
    dropped: tuple[Dropped, ...]


def import_checkpoint(
    path: Path,
    *,
    kind: str = "auto",
    weights: str = "ema",
    task: str | None = None,
    sampler: str = "legacy",
) -> Imported:
    """Reads a checkpoint that the released code of MP1, FlowPolicy or DP3 wrote.

    Nothing in the file is executed. The policy gives the same action as the released code for the
    same noise, but for rounding.

    Args:
        path: the ``.ckpt`` file.
        kind: mp1, flowpolicy, dp3, or auto, which asks the configuration in the file.
        weights: ema, or model for the weights without averaging.
        task: suite/name that the policy was trained for, where there is such a task here.
        sampler: of dp3, ``legacy`` (diffusers 0.11.1, which its notes pin) or ``correct``.

    Raises:
        RunError: the file is damaged or of another kind, an option has no counterpart here, or a
            weight that could decide an action is missing, unknown, or would be lost.
    """
    with open_torch_file(path) as file:
        options = SavedOptions(_entry(file.content, "cfg", path))
        found = kind_of(options, kind)
        spec = spec_of(options, found, task=task, sampler=sampler)
        state = _state(file.content, weights, path)
        normalizer = _normalizer(file, state, (3, spec.state_dim, spec.action_dim))
        policy = _built(spec, normalizer)
        start = found == "mp1"
        taken, dead = load_padded(policy, state, file.tensor, start=start)
        if not start:
            _without_start(policy, turned=found == "flowpolicy")
        idle = _idle(file, state, set(taken))
    live = sum(value.numel() for value in policy.state_dict().values())
    return Imported(found, policy.eval(), live, (*map(_dropped, dead), *idle))


def released_state(policy: Policy, kind: str) -> dict[str, torch.Tensor]:
    """Returns the weights of ``policy`` as the released code of ``kind`` has them, padded.

    The inverse of the import; what the released code keeps beside these takes no part.
    """
    start = kind == "mp1"
    state = padded_state(policy, start=start)
    if kind == "flowpolicy":
        network: Any = policy.network
        first, last = "model.diffusion_step_encoder.1.weight", "model.final_conv.1"
        state[first] = _turned(state[first], network.time.sinusoids.frequencies)
        for part in ("weight", "bias"):
            state[f"{last}.{part}"] = -state[f"{last}.{part}"]
    for name in FIELDS:
        ours: ChannelNormalizer = getattr(policy.normalizer, name)
        state[f"{_NORMALIZER}{name}.scale"] = ours.scale.clone()
        state[f"{_NORMALIZER}{name}.offset"] = -ours.offset * ours.scale
    return state


def _built(spec: PolicySpec, normalizer: Normalizer) -> Policy:
    try:
        with DRAWING_WEIGHTS:
            return Policy(spec, normalizer)
    except ConfigError as error:
        raise RunError(
            "the options of a checkpoint must fit one another here", received=str(error)
        ) from error


@torch.no_grad()
def _without_start(policy: Policy, *, turned: bool) -> None:
    """Makes the network one of t alone; FlowPolicy's counts time from noise and predicts x - e."""
    network = policy.network
    assert isinstance(network, UNet1D)
    for parameter in network.time.start.parameters():
        parameter.zero_()
    if turned:
        first: Any = network.time.end[0]
        first.weight.copy_(_turned(first.weight, network.time.sinusoids.frequencies))
        network.project.weight.neg_()
        network.project.bias.neg_()


def _turned(weight: torch.Tensor, frequencies: torch.Tensor) -> torch.Tensor:
    """A layer on the sines and cosines of f (1 - t) as one on those of f t, and back.

    sin(f - ft) = sin f cos ft - cos f sin ft and cos(f - ft) = cos f cos ft + sin f sin ft: a
    reflection, which undoes itself.
    """
    half = weight.shape[1] // 2
    steps = torch.arange(half, dtype=torch.float64) / (half - 1)
    turn = FLOWPOLICY_TIME * 10_000.0**-steps  # (half,)
    assert torch.allclose(turn.float(), frequencies.cpu(), rtol=1e-5)
    sines, cosines = weight.double().cpu().split(half, dim=1)
    parts = [
        sines * -turn.cos() + cosines * turn.sin(),
        sines * turn.sin() + cosines * turn.cos(),
    ]
    return torch.cat(parts, dim=1).to(weight)


def _normalizer(file: TorchFile, state: Mapping[str, Any], channels: tuple[int, ...]) -> Normalizer:
    """Theirs, y = scale x + offset, is ours, y = scale (x + offset / scale)."""
    parts = {}
    for name, count in zip(FIELDS, channels, strict=True):
        keys = [f"{_NORMALIZER}{name}.{part}" for part in ("scale", "offset")]
        if not set(keys) <= set(state):
            raise RunError(f"a checkpoint must hold the normaliser of {name}", received=keys)
        scale, offset = (file.tensor(state[key]).double().flatten() for key in keys)
        if len(scale) == 1:
            scale, offset = scale.expand(count), offset.expand(count)
        if name == "point_cloud":  # colours are normalised, then cut off
            scale, offset = scale[:count], offset[:count]
        fits = len(scale) == count and len(offset) == count
        if not fits or not bool(((scale > 0) & scale.isfinite() & offset.isfinite()).all()):
            raise RunError(
                f"the normaliser of {name} must have {count} positive scales and finite offsets",
                received=(scale.tolist(), offset.tolist()),
            )
        parts[name] = ChannelNormalizer(scale, -offset / scale)
    return Normalizer(**parts)


def _idle(file: TorchFile, state: Mapping[str, Any], taken: set[str]) -> list[Dropped]:
    """What is left when every weight with a counterpart is taken; all of it must be idle."""
    counts: dict[tuple[str, str], int] = {}
    for name in state:
        if name in taken or name in _APPLIED:
            continue
        place, reason = _why_idle(name)
        if not reason:
            raise RunError(
                "a checkpoint must hold no weight without a counterpart here: it could decide "
                "actions",
                received=name,
                remedy="check kind=, or import a checkpoint of the released code",
            )
        counts[place, reason] = counts.get((place, reason), 0) + file.tensor(state[name]).numel()
    return [Dropped(place, count, why) for (place, why), count in counts.items() if count]


def _why_idle(name: str) -> tuple[str, str]:
    """What the weight is a part of, and why it decides nothing; no reason where it may."""
    if name.startswith(_NORMALIZER):
        field, _, part = name.removeprefix(_NORMALIZER).partition(".")
        if part.startswith("input_stats."):
            return _NORMALIZER, "statistics beside the scale and offset that are applied"
        if field not in FIELDS and part in ("scale", "offset"):
            return _NORMALIZER + field, "normalises what the encoder does not read"
    return next(((start, why) for start, why in _IDLE.items() if name.startswith(start)), ("", ""))


def _dropped(dead: DeadTaps) -> Dropped:
    return Dropped(dead.name, dead.weights, str(dead))


def _state(content: Any, weights: str, path: Path) -> Mapping[str, Any]:
    states = _mapping(_entry(content, "state_dicts", path))
    if STATES[weights] not in states:
        raise RunError(
            f"{path} must hold the weights {STATES[weights]}",
            received=sorted(map(str, states)),
            remedy="ask for weights=model" if weights == "ema" else "check the file",
        )
    return {str(name): value for name, value in _mapping(states[STATES[weights]]).items()}


def _entry(content: Any, key: str, path: Path) -> Any:
    entries = _mapping(content)
    if key not in entries:
        raise RunError(
            f"{path} must hold {key!r}, as checkpoints of MP1, FlowPolicy and DP3 do",
            received=sorted(map(str, entries))[:8],
            remedy="give the file that the training script wrote, for example latest.ckpt",
        )
    return entries[key]


def _mapping(value: Any) -> Mapping[Any, Any]:
    if isinstance(value, Inert):
        return value.entries
    return value if isinstance(value, Mapping) else {}
