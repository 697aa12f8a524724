"""From a run to an exported file: checked against the policy, and only then put in its place."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.config.exporting import PRECISIONS
from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.export import folder, onnx_model, torch_archive
from mfpolicy.deployment.export.description import describe, same_export, stored_facts, texts
from mfpolicy.deployment.export.packages import require_packages
from mfpolicy.deployment.export.parity import Parity, check_parity
from mfpolicy.deployment.export.place import written_whole
from mfpolicy.deployment.export.traced import INPUTS, trace
from mfpolicy.deployment.export.weights import reduce_weights
from mfpolicy.deployment.onnx_policy import open_session
from mfpolicy.errors import ConfigError, RunError
from mfpolicy.options import check_choice
from mfpolicy.policy import load_policy

FILES = {"onnx": folder.MODEL, "torch": "policy.pt2", "folder": "robot"}
"""What an export is called in its run folder, by format."""


@dataclass(frozen=True)
class ExportReport:
    """What was exported.

    Attributes:
        path: the file or folder. size_bytes: of the file, or of all files in the folder.
        parity: how far it is from the policy.
        existed: it was there already, an export of the same policy with the same options.
    """

    path: Path
    size_bytes: int
    parity: Parity
    existed: bool = False


def export_policy(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    format: str = "onnx",
    precision: str = "float32",
    steps: int | None = None,
    noise_scale: float = 1.0,
    guidance_scale: float | None = None,
    n_action_steps: int | None = None,
    task: str | None = None,
) -> ExportReport:
    """Exports the policy of a run and checks that the result decides as the policy does.

    The graph takes point_cloud (B, To, P, C) in metres, colors from 0 to 255, agent_pos (B, To, S)
    and noise (B, Th, A), float32, for any B, and returns actions (B, Ta, A) in the environment's
    units: normalisation, encoder and sampler are inside. It carries its spec, its point-cloud
    recipe and the versions it was made with.

    Args:
        run: run folder, or its ``.safetensors`` file.
        out: where it goes; None puts it into the run folder.
        format: ``onnx``, a file for ONNX Runtime, TensorRT and others; ``torch``, a
            ``torch.export`` archive; ``folder``, what a robot runs with numpy and onnxruntime.
        precision: of the weights: ``float32``, ``float16`` or ``int8``; see
            :func:`mfpolicy.deployment.export.weights.reduce_weights`.
        steps: network evaluations (NFE); None takes the objective's default.
        noise_scale: factor on the noise that a chunk starts from.
        guidance_scale: w of a network that takes it as an input; None takes the objective's.
        n_action_steps: Ta, actions that are returned, at most Th − To + 1; None takes the run's.
        task: which of several tasks the export is to do; None of a policy of one.

    Raises:
        RunError: the run holds no policy, ``out`` holds something else, or the export does not
            decide as the policy does; then no file is left.
        ConfigError: an option is unknown, the objective cannot sample so, or there are several
            tasks and none is named.
        TaskError: the policy was not trained for the task.
        BackendError: a package is not installed.

    Example:
        >>> export_policy("runs/drawer-open", format="onnx").path       # doctest: +SKIP
        PosixPath('runs/drawer-open/policy.onnx')
    """
    check_choice("format", format, tuple(FILES))
    check_choice("precision", precision, PRECISIONS)
    if format == "torch" and precision != "float32":
        raise ConfigError(
            "a torch.export archive holds float32 weights",
            received=f"precision={precision}",
            remedy="use format=onnx or format=folder",
        )
    require_packages(format, what=f"format={format}")
    policy = load_policy(run, task=task)
    if n_action_steps is not None:
        policy.spec = dataclasses.replace(policy.spec, n_action_steps=n_action_steps)
    module = ActionModule(
        policy, steps=steps, noise_scale=noise_scale, guidance_scale=guidance_scale
    )
    facts = describe(module, format=format, precision=precision)
    path = Path(out) if out is not None else _folder_of(run) / FILES[format]
    _check_suffix(path, format)
    if os.path.lexists(path):
        return _existing(path, facts)
    with written_whole(path) as unfinished:
        parity = _WRITERS[format](module, unfinished, facts)
        size = _size(unfinished)
    return ExportReport(path, size, parity)


def _write_onnx(module: ActionModule, path: Path, facts: dict[str, Any]) -> Parity:
    return _write_model(module, path, facts)[0]


def _write_folder(module: ActionModule, path: Path, facts: dict[str, Any]) -> Parity:
    path.mkdir()
    parity, facts = _write_model(module, path / folder.MODEL, facts)
    folder.write_around(path / folder.MODEL, module.spec, facts)
    return parity


def _write_model(
    module: ActionModule, path: Path, facts: dict[str, Any]
) -> tuple[Parity, dict[str, Any]]:
    model = reduce_weights(onnx_model.build_model(module), facts["precision"])
    session = open_session(model.SerializeToString(), None)

    def decide(*inputs: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, dict(zip(INPUTS, inputs, strict=True)))[0])

    parity = check_parity(module, decide, precision=facts["precision"])
    facts = {**facts, "opset": onnx_model.opset(model), "parity": dataclasses.asdict(parity)}
    onnx_model.write_model(onnx_model.with_metadata(model, texts(module, facts)), path)
    return parity, facts


def _write_torch(module: ActionModule, path: Path, facts: dict[str, Any]) -> Parity:
    program = trace(module)
    decide = torch_archive.decider(program)
    parity = check_parity(module, decide, precision=facts["precision"])
    facts = {**facts, "parity": dataclasses.asdict(parity)}
    torch_archive.write_archive(program, path, texts(module, facts))
    return parity


_WRITERS = {"onnx": _write_onnx, "torch": _write_torch, "folder": _write_folder}


def _check_suffix(path: Path, format: str) -> None:
    suffix = Path(FILES[format]).suffix
    if suffix and path.suffix != suffix:
        raise ConfigError(
            f"out of format={format} must end in {suffix}",
            received=str(path),
            remedy=f"write out={path.with_suffix(suffix)}",
        )


def _existing(path: Path, facts: dict[str, Any]) -> ExportReport:
    stored = stored_facts(path)
    if stored is None or not same_export(stored, facts):
        raise RunError(
            "out must not exist yet, or hold an export of this policy with these options",
            received=str(path),
            remedy="choose another out=, or remove it first",
        )
    parity = Parity(**{**stored["parity"], "batches": tuple(stored["parity"]["batches"])})
    return ExportReport(path, _size(path), parity, existed=True)


def _folder_of(run: str | os.PathLike[str]) -> Path:
    path = Path(run)
    return path.parent if path.suffix == ".safetensors" else path


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
