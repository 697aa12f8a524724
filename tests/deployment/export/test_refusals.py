"""What cannot be exported, loaded or decided on is named; nothing is half-written."""

import dataclasses
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from deployment.export.conftest import policy_of
from deployment.export.known_graphs import export_known
from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.export import export_policy
from mfpolicy.deployment.export.parity import check_parity
from mfpolicy.deployment.onnx_policy import load_onnx
from mfpolicy.errors import BackendError, ConfigError, ObservationError, RunError
from mfpolicy.policy import save_policy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"point_cloud": np.zeros((3, 2, 9, 3), np.float32)}, "point_cloud must have shape"),
        ({"agent_pos": np.zeros((2, 2, 5), np.float32)}, "agent_pos must have shape"),
        ({"agent_pos": np.full((3, 2, 5), np.nan, np.float32)}, "agent_pos must be finite"),
        ({"agent_pos": np.full((3, 2, 5), "x")}, "agent_pos must be an array of numbers"),
        ({"noise": np.zeros((3, 4, 3), np.float32)}, "noise must have shape"),
        ({"noise": np.full((3, 4, 2), np.inf, np.float32)}, "noise must be finite"),
        ({"noise": np.full((3, 4, 2), "x")}, "noise must be an array of numbers"),
    ],
)
def test_what_it_cannot_decide_on_is_named(exported, observation, change, message):
    frames, noise = observation
    frames = {**frames, **{key: value for key, value in change.items() if key != "noise"}}
    with pytest.raises(ObservationError, match=message):
        load_onnx(exported.path)(frames, noise=change.get("noise", noise))


@pytest.mark.parametrize("kept", [0, 20, 1000])
def test_a_damaged_file_is_refused(exported, tmp_path, kept):
    damaged = tmp_path / "policy.onnx"
    damaged.write_bytes(exported.path.read_bytes()[:kept])
    with pytest.raises(RunError, match="able to read the model|carry the spec"):
        load_onnx(damaged)


def test_a_model_of_someone_else_is_refused(tmp_path):
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    x, y = (onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "xy")
    opset = [onnx.helper.make_opsetid("", 20)]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "g", [x], [y]), opset_imports=opset, ir_version=10
    )
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(RunError, match="must carry the spec"):
        load_onnx(tmp_path / "other.onnx")


def test_a_missing_file_and_senseless_threads_are_refused(exported, tmp_path):
    with pytest.raises(RunError, match="must be a file"):
        load_onnx(tmp_path / "none.onnx")
    with pytest.raises(ConfigError, match="threads must be"):
        load_onnx(exported.path, threads=0)


def test_the_same_export_again_is_found_and_another_is_not_overwritten(exported, run):
    before = exported.path.read_bytes()
    again = export_policy(run)
    assert again == dataclasses.replace(exported, existed=True)
    with pytest.raises(RunError, match="must not exist yet"):
        export_policy(run, noise_scale=0.5)
    assert exported.path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"something else", "a folder"])
def test_what_is_no_export_is_not_overwritten(run, tmp_path, content):
    out = tmp_path / "mine.onnx"
    if isinstance(content, bytes):
        out.write_bytes(content)
    else:
        out.mkdir()
    with pytest.raises(RunError, match="must not exist yet"):
        export_policy(run, out)
    assert out.is_dir() or out.read_bytes() == content


def test_an_export_that_decides_otherwise_leaves_no_file(run, tmp_path, monkeypatch):
    right = onnxruntime.InferenceSession.run

    def wrong(self, names, feed, options=None):
        return [actions + 1 for actions in right(self, names, feed, options)]

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", wrong)
    with pytest.raises(RunError, match="must decide as the policy does"):
        export_known(run, tmp_path / "policy.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "broken",
    [lambda a: a[:, :2], lambda a: a * np.nan, lambda a: a + np.array([0.01, 0], np.float32)],
    ids=["shape", "nan", "shift"],
)
def test_the_check_of_parity_sees_a_difference(broken):
    module = ActionModule(policy_of("meanflow"))

    def decide(*inputs):
        return broken(module(*map(torch.from_numpy, inputs)).numpy())

    with pytest.raises(RunError):
        check_parity(module, decide, precision="float32")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"format": "onnxx"}, ConfigError, "'onnx'"),
        ({"precision": "fp64"}, ConfigError, "precision must be one of"),
        ({"steps": 0}, ConfigError, "steps must be"),
        ({"guidance_scale": 2.0}, ConfigError, "guidance_scale needs"),
        ({"noise_scale": -1.0}, ConfigError, "noise_scale must be"),
        ({"n_action_steps": 4}, ConfigError, r"n_action_steps must be in \[1, "),
        ({"out": "policy.txt"}, ConfigError, "must end in .onnx"),
    ],
)
def test_options_that_cannot_be_are_refused(run, tmp_path, monkeypatch, options, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        export_policy(run, **{"out": "x.onnx", **options})
    assert list(tmp_path.iterdir()) == []


def test_a_sampler_that_draws_on_its_way_is_refused(tmp_path):
    save_policy(policy_of("flow_anchored_consistency", sampler="renoise"), tmp_path)
    with pytest.raises(ConfigError, match="draws noise on its way"):
        export_policy(tmp_path, steps=2)


def test_a_run_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"must hold model\.safetensors"):
        export_policy(tmp_path / "none")


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_its_remedy(run, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BackendError, match=r"mfpolicy\[export\]"):
        export_policy(run, tmp_path / "policy.onnx")
