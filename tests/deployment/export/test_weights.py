"""Weights in fewer bits: smaller files, and errors of the size that rounding has."""

import dataclasses

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deployment.export.conftest import policy_of
from deployment.export.known_graphs import export_known
from mfpolicy.deployment.export.weights import BLOCK, blockwise, reduce_weights
from mfpolicy.deployment.onnx_policy import load_onnx
from mfpolicy.errors import ConfigError
from mfpolicy.policy import Policy, save_policy


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A policy with matrices large enough to be reduced."""
    small = policy_of("meanflow")
    network = {"name": "unet1d", "widths": [192], "time_dim": 8}
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("wide")
    spec = dataclasses.replace(small.spec, network=network)
    save_policy(Policy(spec, small.normalizer), folder)
    return folder


@pytest.fixture(scope="module")
def full(wide):
    return export_known(wide)


# Rounding to 11 bits and to 8, each of some ten layers in a row, on a range of 2; measured 1e-4
# and 5e-3.
@pytest.mark.parametrize(
    ("precision", "share", "bound"), [("float16", 0.55, 1e-3), ("int8", 0.4, 2e-2)]
)
def test_reduced_weights_take_less_and_change_little(
    wide, full, tmp_path, observation, precision, share, bound
):
    report = export_known(wide, tmp_path / "policy.onnx", precision=precision)
    assert report.size_bytes < share * full.size_bytes
    assert full.parity.error < report.parity.error < bound
    frames, noise = observation
    expected = load_onnx(full.path, threads=1)(frames, noise=noise)
    actual = load_onnx(report.path, threads=1)(frames, noise=noise)
    error = np.abs(actual - expected) / [2.0, 30.0]  # the widths of the actions' ranges
    assert 0 < error.max() < bound
    for batch in (1, 3):
        part = {key: value[:batch] for key, value in frames.items()}
        one = load_onnx(report.path, threads=1)(part, noise=noise[:batch])
        np.testing.assert_allclose(one, actual[:batch], rtol=0, atol=30 * bound)


@given(st.integers(1, 100), st.integers(1, 5), st.integers(0, 1000))
def test_an_integer_is_at_most_half_a_step_away(inputs, outputs, seed):
    weight = np.random.default_rng(seed).normal(size=(inputs, outputs)).astype(np.float32)
    weight[:, 0] = 0
    integers, scales = blockwise(weight)
    back = ((integers.astype(np.float32) - 128) * scales[:, :, None]).reshape(outputs, -1).T
    steps = np.repeat(scales, BLOCK, axis=1).T  # (padded K, N)
    assert (np.abs(back[:inputs] - weight) <= 0.5001 * steps[:inputs]).all()
    assert (back[inputs:] == 0).all()
    assert (back[:, 0] == 0).all()


def test_a_policy_without_large_matrices_is_told(run, tmp_path):
    with pytest.raises(ConfigError, match="which this policy has none of"):
        export_known(run, tmp_path / "policy.onnx", precision="int8")
    assert list(tmp_path.iterdir()) == []


def test_a_weight_beyond_half_precision_is_told():
    weight = onnx.numpy_helper.from_array(np.full((64, 64), 1e5, np.float32), "w")
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    x, y = (onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 64]) for n in "xy")
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [x], [y], [weight]))
    with pytest.raises(ConfigError, match="must fit half precision"):
        reduce_weights(model, "float16")
