"""Encoders and networks of every kind in a whole policy: it learns, decides, and is deployed."""

import dataclasses

import numpy as np
import pytest
import torch

from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.export.traced import trace
from mfpolicy.encoders import auxiliary
from mfpolicy.errors import ConfigError
from mfpolicy.policy import Policy, load_policy, save_policy
from mfpolicy.types import Batch
from oracles.small_policy import small_policy

ENCODERS = {
    "pyramid": {"width": 8, "stages": 2, "output_dim": 8},
    "set_abstraction": {"counts": [6, 3], "neighbours": [4, 2], "widths": [8, 8, 8]},
    "point_transformer": {"tokens": 4, "neighbours": 3, "width": 8, "layers": 1, "output_dim": 8},
}
NETWORKS = {
    "unet1d": {"widths": [8], "groups": 2, "time_dim": 8},
    "mlp_mixer": {"width": 8, "depth": 1, "time_dim": 8},
    "transformer": {"width": 8, "depth": 2, "heads": 2, "time_dim": 8},
}
NATURAL = {
    "pyramid": "unet1d",
    "set_abstraction": "mlp_mixer",
    "point_transformer": "transformer",
}
OBJECTIVES = {"meanflow": {}, "improved_meanflow": {"velocity_head": True}, "shortcut": {}}


def _policy(encoder, network, objective="meanflow", *, more=None, of_encoder=None, **options):
    spec = dataclasses.replace(
        small_policy(objective, **options).spec,
        encoder={"name": encoder, **ENCODERS[encoder], **(of_encoder or {})},
        network={"name": network, **NETWORKS[network]},
        **(more or {}),
    )
    torch.manual_seed(0)
    return Policy(spec).eval()


def _batch(policy, rows=6):
    spec, drawn = policy.spec, torch.Generator().manual_seed(1)
    shapes = {
        "point_cloud": (rows, spec.n_obs_steps, 8, spec.point_dim),
        "agent_pos": (rows, spec.n_obs_steps, spec.state_dim),
        "action": (rows, spec.horizon, spec.action_dim),
    }
    values = {name: torch.rand(shape, generator=drawn) for name, shape in shapes.items()}
    ints = {"episode": torch.zeros(rows, dtype=torch.int64), "step": torch.arange(rows)}
    return Batch(**values, **ints)


def _given(rows=1):
    drawn = np.random.default_rng(1)
    shapes = {"point_cloud": (rows, 2, 8, 3), "agent_pos": (rows, 2, 5)}
    observation = {key: drawn.standard_normal(shape) for key, shape in shapes.items()}
    return observation, drawn.standard_normal((rows, 4, 2)).astype(np.float32)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("encoder", NATURAL)
def test_every_parameter_of_encoder_and_network_is_trained(encoder, objective):
    policy = _policy(encoder, NATURAL[encoder], objective, **OBJECTIVES[objective])
    loss, _ = policy.loss(_batch(policy), torch.Generator().manual_seed(2))
    loss.backward()
    assert [n for n, p in policy.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_rows_without_condition_lose_their_tokens_as_well():
    guidance = {"kind": "cfg", "drop": 0.5}
    policy = _policy("point_transformer", "transformer", guidance=guidance)
    assert policy.null.shape == (1, policy.encoder.output_dim)
    for _ in range(3):
        loss, _ = policy.loss(_batch(policy), torch.Generator().manual_seed(2))
        loss.backward()
    tokens = policy.null.grad[:, policy.encoder.vector_dim :]
    assert tokens.any()
    velocity = policy.velocity(_batch(policy)).unconditional()
    z, t = torch.zeros(6, 4, 2), torch.ones(6)
    torch.testing.assert_close(velocity(z, 0 * t, t)[:1], velocity(z, 0 * t, t)[1:2])


@pytest.mark.parametrize("encoder", NATURAL)
@pytest.mark.parametrize("fusion", ["film", "cross_attention"])
def test_fusion_and_history_are_options_of_the_encoder(encoder, fusion):
    options = {"fusion": fusion, "history": "attention"}
    if fusion == "cross_attention" and encoder != "point_transformer":
        with pytest.raises(ConfigError, match="has tokens"):
            _policy(encoder, "unet1d", of_encoder=options)
        return
    policy = _policy(encoder, "unet1d", of_encoder=options)
    assert policy.encoder.output_dim == policy.encoder.cloud.output_dim + 64
    assert policy.predict(_given()[0]).shape == (1, 3, 2)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_policy_reads_back_the_same(network, tmp_path):
    policy = _policy("point_transformer", network, of_encoder={"fusion": "film"})
    save_policy(policy, tmp_path)
    observation, noise = _given()
    acted = load_policy(tmp_path).predict(observation, noise=torch.from_numpy(noise))
    assert torch.equal(acted, policy.predict(observation, noise=torch.from_numpy(noise)))


@pytest.mark.parametrize("encoder", NATURAL)
def test_the_backend_that_is_chosen_works_and_says_its_name(encoder):
    policy = _policy(encoder, NATURAL[encoder])
    observation, noise = _given(rows=2)
    decide = policy.compile(batch=2)
    assert decide.backend == "eager"
    expected = policy.predict(observation, noise=torch.from_numpy(noise)).numpy()
    np.testing.assert_allclose(decide(observation, noise=noise), expected, rtol=0, atol=1e-5)
    with pytest.raises(ConfigError, match="backend=onnx"):
        policy.compile(backend="packed")


def test_a_network_without_packed_loops_is_told_which_have_them():
    policy = small_policy(network={"name": "transformer", **NETWORKS["transformer"]})
    assert policy.compile().backend == "eager"
    with pytest.raises(ConfigError, match="the network mlp_mixer or unet1d"):
        policy.compile(backend="packed")


def test_a_pointnet_with_a_fusion_of_its_own_is_not_packed():
    policy = small_policy()
    encoder = {**policy.spec.encoder, "fusion": "film"}
    fused = Policy(dataclasses.replace(policy.spec, encoder=encoder)).eval()
    observation, noise = _given()
    assert policy.compile().backend == "packed"
    assert fused.compile().backend == "eager"
    expected = fused.predict(observation, noise=torch.from_numpy(noise)).numpy()
    np.testing.assert_allclose(fused.compile()(observation, noise=noise), expected, atol=1e-5)


def test_the_exported_graph_decides_as_the_policy_does():
    """All pairs: benchmarks/encoders/latency.py. This one has groups, tokens and attention."""
    policy = _policy("point_transformer", "transformer")
    observation, noise = _given(rows=5)
    expected = policy.predict(observation, noise=torch.from_numpy(noise)).numpy()
    decide = policy.compile(batch=5, backend="onnx", threads=1)
    assert decide.backend == "onnx"
    np.testing.assert_allclose(decide(observation, noise=noise), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("encoder", ["set_abstraction", "point_transformer"])
def test_a_traced_graph_takes_any_number_of_points(encoder):
    policy = _policy(encoder, NATURAL[encoder], more={"points": None})
    graph = trace(ActionModule(policy)).module()
    observation, noise = _given(rows=3)
    for points in (policy.encoder.cloud.least_points, 8, 700):
        cloud = np.random.default_rng(points).random((3, 2, points, 3), dtype=np.float32)
        seen = {**observation, "point_cloud": cloud}
        inputs = (cloud, observation["agent_pos"].astype(np.float32), noise)
        with torch.no_grad():
            acted = graph(*(torch.from_numpy(value) for value in inputs))
        expected = policy.predict(seen, noise=torch.from_numpy(noise))
        torch.testing.assert_close(acted, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", auxiliary.names())
def test_an_auxiliary_loss_is_added_and_logged_and_leaves_the_rest(name):
    plain = _policy("pyramid", "unet1d")
    helped = _policy("pyramid", "unet1d", more={"auxiliary": {name: {"weight": 0.5}}})
    batch = _batch(plain)
    (loss, _), (more, logged) = (
        policy.loss(batch, torch.Generator().manual_seed(2)) for policy in (plain, helped)
    )
    torch.testing.assert_close(more.detach(), (loss + 0.5 * logged[f"auxiliary_{name}"]).detach())
    own = {key for key in helped.state_dict() if key.startswith(f"auxiliary.{name}.")}
    assert own
    assert set(plain.state_dict()) == set(helped.state_dict()) - own
    observation, noise = _given()
    acted = helped.predict(observation, noise=torch.from_numpy(noise))
    assert torch.equal(acted, plain.predict(observation, noise=torch.from_numpy(noise)))
