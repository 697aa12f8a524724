"""An ONNX export is the policy: its actions and its facts."""

import dataclasses
import json

import numpy as np
import onnx
import pytest
import torch

from deployment.export.conftest import RECIPE, SMALLEST, policy_of
from mfpolicy import objectives
from mfpolicy.deployment.export import export_policy
from mfpolicy.deployment.onnx_policy import load_onnx
from mfpolicy.policy import load_policy, save_policy

WITHIN = 1e-4  # of values up to 40: eight float32 digits less the rounding of some hundred sums


def few_steps(name: str) -> int | None:
    """Two network evaluations at most: each repeats the graph of the network."""
    objective = policy_of(name).objective
    return None if objective.default_steps <= 2 else max({1, 2} & set(objective.step_choices[:2]))


def _samplers() -> list[str]:
    """One objective for each way to sample: the others' graphs hold the same operators."""
    found = {}
    for name in objectives.names():
        kind = type(policy_of(name, network=SMALLEST).objective)
        found.setdefault((kind.sample, kind.at_scale), name)
    return list(found.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", _samplers())
def test_every_sampler_decides_as_before(name, tmp_path, observation):
    policy = policy_of(name, network=SMALLEST)
    save_policy(policy, tmp_path)
    steps = few_steps(name)
    report = export_policy(tmp_path, steps=steps)
    frames, noise = observation
    expected = policy.predict(frames, noise=torch.from_numpy(noise), steps=steps).numpy()
    actual = load_onnx(report.path, threads=1)(frames, noise=noise)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=WITHIN)
    assert report.parity.error < report.parity.bound


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_the_batch_is_free(exported, run, observation, batch):
    frames, noise = observation
    index = np.arange(batch) % 3
    frames = {key: value[index] for key, value in frames.items()}
    noise = np.random.default_rng(0).normal(size=noise[index].shape).astype(np.float32)
    expected = load_policy(run).predict(frames, noise=torch.from_numpy(noise)).numpy()
    actual = load_onnx(exported.path, threads=1)(frames, noise=noise)
    assert actual.dtype == np.float32
    assert actual.shape == (batch, 3, 2)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=WITHIN)


def test_the_file_tells_what_it_is(exported, run):
    metadata = {p.key: p.value for p in onnx.load(exported.path).metadata_props}
    assert json.loads(metadata["mfpolicy_spec"]) == load_policy(run).spec.to_dict()
    assert json.loads(metadata["mfpolicy_point_recipe"]) == RECIPE
    facts = json.loads(metadata["mfpolicy_export"])
    assert facts["opset"][""] == 20
    assert facts["steps"] == 1
    assert set(facts["versions"]) == {"mfpolicy", "torch", "onnx", "onnxscript", "onnxruntime"}
    assert facts["parity"]["error"] == exported.parity.error
    assert load_onnx(exported.path).spec.to_dict() == load_policy(run).spec.to_dict()


def test_inputs_and_outputs_have_names_and_a_free_batch(exported):
    graph = onnx.load(exported.path).graph
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert shapes == {
        "point_cloud": ["batch", 2, 8, 3],
        "agent_pos": ["batch", 2, 5],
        "noise": ["batch", 4, 2],
        "actions": ["batch", 3, 2],
    }
    onnx.checker.check_model(onnx.load(exported.path), full_check=True)


def test_the_options_of_the_sampler_are_in_the_graph(tmp_path, observation):
    policy = policy_of("meanflow", network=SMALLEST)
    save_policy(policy, tmp_path)
    frames, noise = observation
    options = {"steps": 2, "noise_scale": 0.25}
    report = export_policy(tmp_path, tmp_path / "two.onnx", **options, n_action_steps=1)
    expected = policy.predict(frames, noise=torch.from_numpy(noise), **options)[:, :1]
    decide = load_onnx(report.path, threads=1)
    assert decide.spec.n_action_steps == 1
    actual = decide(frames, noise=noise)
    np.testing.assert_allclose(actual, expected.numpy(), rtol=0, atol=WITHIN)


def test_a_cloud_of_any_size_where_the_spec_leaves_it_open(tmp_path, observation):
    policy = policy_of("regression", network=SMALLEST)
    policy.spec = dataclasses.replace(policy.spec, points=None)
    save_policy(policy, tmp_path)
    decide = load_onnx(export_policy(tmp_path).path, threads=1)
    frames, noise = observation
    for points in (1, 5, 600):
        cloud = np.random.default_rng(points).random((3, 2, points, 3), dtype=np.float32)
        seen = {**frames, "point_cloud": cloud}
        expected = policy.predict(seen, noise=torch.from_numpy(noise)).numpy()
        np.testing.assert_allclose(decide(seen, noise=noise), expected, rtol=0, atol=WITHIN)


def test_without_noise_it_draws_the_objectives(exported, observation):
    frames, _ = observation
    decide = load_onnx(exported.path, threads=1)
    first, second = decide(frames), decide(frames)
    assert first.shape == second.shape == (3, 3, 2)
    assert not np.array_equal(first, second)


def test_numbers_of_another_type_are_converted(exported, observation):
    frames, noise = observation
    decide = load_onnx(exported.path, threads=1)
    doubles = {key: value.astype(np.float64) for key, value in frames.items()}
    expected = decide(frames, noise=noise)
    np.testing.assert_array_equal(decide(doubles, noise=noise.astype(np.float64)), expected)
