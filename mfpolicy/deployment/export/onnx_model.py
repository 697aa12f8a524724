"""A policy as one ONNX model."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.export.traced import INPUTS, OUTPUT, trace
from mfpolicy.errors import ConfigError

if TYPE_CHECKING:
    import onnx

OPSET = 20
MAX_BYTES = 2**31 - 2**24
"""A protobuf message, hence a model in one file, ends at 2 GiB; the graph needs some of it."""
_UNBOUNDED = 2**31


def build_model(module: ActionModule) -> onnx.ModelProto:
    """Returns the graph of (point_cloud, agent_pos, noise) → actions with its weights, float32.

    Raises:
        ConfigError: the weights do not fit one file.
    """
    from onnxscript import ir, optimizer

    size = sum(tensor.nbytes for tensor in module.state_dict().values())
    if size > MAX_BYTES:
        raise ConfigError(
            "an ONNX file holds less than 2 GiB",
            received=f"{size / 2**30:.1f} GiB of weights",
            remedy="use format=torch, or a smaller network",
        )
    model = _translate(module)
    # weights that the graph reshapes are stored as the matrices that they are used as
    optimizer.optimize(model, input_size_limit=_UNBOUNDED, output_size_limit=_UNBOUNDED)
    proto = ir.to_proto(model)
    del proto.graph.value_info[:]  # what runtimes infer themselves
    _name_free_axes(proto, module)
    proto.producer_name = "mfpolicy"
    return proto


def with_metadata(model: onnx.ModelProto, texts: Mapping[str, str]) -> onnx.ModelProto:
    """Returns the model carrying ``texts``, and no others."""
    from onnx import helper

    helper.set_model_props(model, dict(texts))
    return model


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Writes the model as one file."""
    path.write_bytes(model.SerializeToString())


def opset(model: onnx.ModelProto) -> dict[str, int]:
    """Returns the version of each operator set that the model uses; '' is ONNX's own."""
    return {entry.domain: entry.version for entry in model.opset_import}


def _translate(module: ActionModule):
    chatter = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = chatter.level
    chatter.setLevel(logging.ERROR)  # warns of every operator of torchvision where that is missing
    try:
        with warnings.catch_warnings():
            # torch copies a class of its own that it deprecated
            warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
            program = torch.onnx.export(
                trace(module),
                dynamo=True,
                input_names=list(INPUTS),
                output_names=[OUTPUT],
                opset_version=OPSET,
                optimize=False,
                verbose=False,
            )
    finally:
        chatter.setLevel(level)
    assert program is not None
    return program.model


def _name_free_axes(model: onnx.ModelProto, module: ActionModule) -> None:
    for value in (*model.graph.input, *model.graph.output):
        axes = value.type.tensor_type.shape.dim
        axes[0].dim_param = "batch"
        if value.name == INPUTS[0] and module.spec.points is None:
            axes[2].dim_param = "points"
