"""Weights of an ONNX model in fewer bits; what goes in and comes out stays float32."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from mfpolicy.errors import ConfigError

if TYPE_CHECKING:
    import onnx

BLOCK = 32
"""Weights that share a scale in int8, along the inputs of a layer."""
LARGE = {"float16": 2**10, "int8": 2**16}
"""Elements from which on a tensor is reduced, by precision. Smaller ones take no time to read; in
int8 they hold the encoder, whose error every later layer would inherit."""


def reduce_weights(model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """Returns the model with its large weights in ``precision``, changing it in place.

    ``float16`` stores them as IEEE half precision; a runtime that computes in float32 casts them
    when it loads the file. ``int8`` stores each layer's matrix as 8-bit integers with a scale for
    every ``BLOCK`` weights of an output, as the operator MatMulNBits of ONNX Runtime takes them;
    it rounds its inputs to 8 bits likewise and multiplies integers.

    Raises:
        ConfigError: no weight is large, or one is beyond the range of half precision.
    """
    if precision == "float32":
        return model
    if not {"float16": _to_half, "int8": _to_int8}[precision](model):
        raise ConfigError(
            f"{precision} reduces tensors of at least {LARGE[precision]} weights, which this "
            "policy has none of",
            received=precision,
            remedy="use precision=float32",
        )
    return model


def blockwise(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rounds a matrix (K, N) to 8 bits with a scale for each block of K.

    Returns:
        Integers around 128, (N, ⌈K / BLOCK⌉, BLOCK) uint8, and scales (N, ⌈K / BLOCK⌉) float32:
        weight ≈ (integer − 128) · scale.

    Example:
        >>> integers, scales = blockwise(np.array([[1.0], [-0.5]], np.float32))
        >>> integers[0, 0, :3].tolist(), float(scales[0, 0] * 127)
        ([255, 64, 128], 1.0)
    """
    inputs, outputs = weight.shape
    blocks = -(-inputs // BLOCK)
    padded = np.zeros((blocks * BLOCK, outputs), np.float32)
    padded[:inputs] = weight
    grouped = padded.T.reshape(outputs, blocks, BLOCK)
    scales = (np.abs(grouped).max(axis=2) / 127).astype(np.float32)
    steps = np.where(scales == 0, np.float32(1), scales)[:, :, None]
    integers = np.rint(grouped / steps) + 128
    return integers.clip(0, 255).astype(np.uint8), scales


def _to_half(model: onnx.ModelProto) -> int:
    """Returns how many tensors were reduced."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LARGE["float16"]:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ConfigError(
                "weights must fit half precision",
                received=f"{tensor.name} reaches {np.abs(values).max():.3g}",
                remedy="use precision=float32",
            )
        name, stored = tensor.name, f"{tensor.name}_float16"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    _replace_nodes(model, [*casts, *model.graph.node])
    return len(casts)


def _to_int8(model: onnx.ModelProto) -> int:
    """Returns how many matrices were reduced."""
    from onnx import helper, numpy_helper

    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes, reduced = [], 0
    for node in model.graph.node:
        matrix = _matrix(node, weights)
        if matrix is None:
            nodes.append(node)
            continue
        reduced += 1
        integers, scales = blockwise(matrix)
        named = {f"{node.output[0]}_int8": integers, f"{node.output[0]}_scale": scales}
        for name, values in named.items():
            model.graph.initializer.append(numpy_helper.from_array(values, name))
        bias = node.input[2] if len(node.input) > 2 else None
        product = node.output[0] if bias is None else f"{node.output[0]}_product"
        nodes.append(_integer_product(node.input[0], list(named), product, matrix.shape))
        if bias is not None:
            nodes.append(helper.make_node("Add", [product, bias], [node.output[0]]))
    _replace_nodes(model, nodes)
    _drop_unused(model)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return reduced


def _matrix(node: onnx.NodeProto, weights: dict[str, Any]) -> np.ndarray | None:
    """The large constant matrix (K, N) that a node multiplies by; None if it has none."""
    from onnx import helper, numpy_helper

    if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in weights:
        return None
    weight = numpy_helper.to_array(weights[node.input[1]])
    options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    plain = all(options.get(name, 1) == 1 for name in ("alpha", "beta")) and not options.get(
        "transA"
    )
    if weight.ndim != 2 or weight.size < LARGE["int8"] or not plain:
        return None
    return weight.T if options.get("transB") else weight


def _integer_product(
    values: str, weight: list[str], product: str, shape: tuple[int, ...]
) -> onnx.NodeProto:
    from onnx import helper

    return helper.make_node(
        "MatMulNBits",
        [values, *weight],
        [product],
        domain="com.microsoft",
        K=shape[0],
        N=shape[1],
        bits=8,
        block_size=BLOCK,
        accuracy_level=4,  # multiply integers, not floats made of them
    )


def _replace_nodes(model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto]) -> None:
    kept = list(nodes)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _drop_unused(model: onnx.ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
