"""A compiled policy decides as the policy does, on every backend, for every objective."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from mfpolicy import objectives
from mfpolicy.deployment import Runtime
from mfpolicy.deployment.backends import BACKENDS
from mfpolicy.errors import BackendError, ConfigError, ObservationError, RunError
from oracles.small_policy import MIXER, UNET, small_policy

HERE = [name for name in BACKENDS.names() if "cpu" in BACKENDS.get(name).devices]
BOUND = {"float32": 1e-5, "bfloat16": 0.05, "int8": 0.05}
"""Largest error of an action, whose range is about 2."""
PACKED = pytest.mark.parametrize("network", [UNET, MIXER], ids=lambda network: network["name"])


def _given(batch: int = 1, seed: int = 1):
    drawn = np.random.default_rng(seed)
    shapes = {"point_cloud": (batch, 2, 8, 3), "agent_pos": (batch, 2, 5)}
    observation = {key: drawn.standard_normal(shape) for key, shape in shapes.items()}
    return observation, drawn.standard_normal((batch, 4, 2)).astype(np.float32)


def _eager(policy, observation, noise, **options):
    return policy.predict(observation, noise=torch.from_numpy(noise), **options).numpy()


def _fitted(policy):
    """With normalisers that change something."""
    drawn = torch.Generator().manual_seed(5)
    for part in (
        policy.normalizer.point_cloud,
        policy.normalizer.agent_pos,
        policy.normalizer.action,
    ):
        part.scale.copy_(1 + torch.rand(part.scale.shape, generator=drawn))
        part.offset.copy_(torch.randn(part.offset.shape, generator=drawn))
    return policy


@pytest.mark.parametrize("name", objectives.names())
@pytest.mark.parametrize(
    ("backend", "network"),
    [("packed", UNET), ("packed", MIXER), ("eager", UNET)],
    ids=["packed unet1d", "packed mlp_mixer", "eager"],
)
def test_every_objective_decides_the_same_when_compiled(name, backend, network):
    policy = _fitted(small_policy(name, network=network))
    observation, noise = _given(batch=3)
    decide = policy.compile(batch=3, backend=backend, noise_scale=0.7)
    expected = _eager(policy, observation, noise, noise_scale=0.7)
    np.testing.assert_allclose(decide(observation, noise=noise), expected, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backend", [name for name in HERE if name not in ("packed", "eager")])
def test_every_backend_decides_the_same(backend):
    policy = _fitted(small_policy(network=MIXER))  # the network with the fewest operators
    observation, noise = _given()
    decide = policy.compile(backend=backend)
    expected = _eager(policy, observation, noise)
    np.testing.assert_allclose(decide(observation, noise=noise), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 4000])
@pytest.mark.parametrize("precision", list(BOUND))
@pytest.mark.parametrize("horizon", [4, 8, 16])
def test_packed_weights_at_every_precision_and_length(precision, threads, horizon):
    network = {"name": "unet1d", "widths": [24, 40, 56], "time_dim": 8}
    policy = _fitted(small_policy(network=network, horizon=horizon))
    _assert_close(policy, precision, batch=2, threads=threads)


@pytest.mark.parametrize(
    ("precision", "threads"), [("float32", 1), ("float32", 2), ("bfloat16", 1), ("int8", 1)]
)
@pytest.mark.parametrize(
    ("batch", "horizon", "width", "depth", "hidden", "channels"),
    [(1, 4, 24, 1, 1, 1), (2, 5, 40, 3, 9, 4), (3, 6, 130, 2, 32, 2), (1, 16, 67, 1, 5, 3)],
)
def test_a_packed_mixer_of_every_size(
    batch, horizon, width, depth, hidden, channels, precision, threads
):
    sizes = {"width": width, "depth": depth, "step_hidden": hidden, "channel_hidden": channels}
    network = {"name": "mlp_mixer", **sizes, "time_dim": 8}
    policy = _fitted(small_policy(network=network, horizon=horizon))
    _assert_close(policy, precision, batch=batch, threads=threads)


def _assert_close(policy, precision, *, batch, threads):
    observation, _ = _given(batch=batch)
    drawn = np.random.default_rng(3)
    noise = drawn.standard_normal((batch, policy.spec.horizon, 2)).astype(np.float32)
    decide = policy.compile(batch=batch, backend="packed", precision=precision, threads=threads)
    expected = _eager(policy, observation, noise)
    error = np.abs(decide(observation, noise=noise) - expected).max()
    assert error <= BOUND[precision]
    assert (error > 1e-5) == (precision != "float32")


@PACKED
@pytest.mark.parametrize("steps", [1, 3])
def test_several_evaluations_and_a_guidance_scale(steps, network):
    scaled = {"scale_input": {"active": True, "max_scale": 4.0}, "velocity_head": True}
    policy = _fitted(small_policy("improved_meanflow", network=network, **scaled))
    observation, noise = _given()
    decide = policy.compile(backend="packed", steps=steps, guidance_scale=2.5)
    expected = _eager(policy, observation, noise, steps=steps, guidance_scale=2.5)
    np.testing.assert_allclose(decide(observation, noise=noise), expected, rtol=0, atol=1e-5)


def test_the_threads_of_pytorch_stay_as_they_are():
    before = torch.get_num_threads()
    decide = small_policy().compile(backend="packed", threads=2)
    decide(_given()[0])
    assert torch.get_num_threads() == before


def test_compiling_is_silent_beside_an_old_tbb():
    """open3d brings one that numba would find and warn of."""
    code = (
        "import warnings, open3d; warnings.simplefilter('error')\n"
        "import numba, numpy\n"
        "from mfpolicy.deployment.packed.threads import prefer_openmp\n"
        "prefer_openmp()\n"
        "@numba.njit(parallel=True)\n"
        "def fill(array):\n"
        "    for i in numba.prange(len(array)): array[i] = i\n"
        "array = numpy.zeros(4); fill(array)\n"
        "print(array.sum(), numba.threading_layer())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.stdout.split(), run.stderr) == (["6.0", "omp"], "")


@PACKED
def test_calls_do_not_see_one_another(network):
    policy = small_policy(network=network)
    decide = policy.compile()
    assert decide.backend == "packed"
    first = decide(_given(seed=1)[0], noise=_given(seed=1)[1])
    kept = first.copy()
    decide(_given(seed=2)[0], noise=_given(seed=2)[1])
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(decide(_given(seed=1)[0], noise=_given(seed=1)[1]), kept)


def test_points_in_any_number_and_order():
    policy = small_policy()
    spec = policy.spec.__class__(**{**policy.spec.to_dict(), "points": None})
    policy = policy.__class__(spec).eval()
    decide = policy.compile()
    observation, noise = _given()
    many = np.random.default_rng(0).standard_normal((1, 2, 77, 3))
    for cloud in (many, many[:, :, ::-1], many.repeat(2, axis=2)):
        observation["point_cloud"] = cloud
        expected = _eager(policy, {**observation, "point_cloud": many}, noise)
        np.testing.assert_allclose(decide(observation, noise=noise), expected, rtol=0, atol=1e-5)


def test_drawn_noise_is_the_generators():
    policy = small_policy(noise={"kind": "bounded"})
    observation, _ = _given()
    first, second, other = (
        policy.compile()(observation, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_weights_that_changed_since_are_refused():
    policy = small_policy()
    decide = policy.compile()
    observation, noise = _given()
    decide(observation, noise=noise)
    with torch.no_grad():
        next(policy.network.parameters()).mul_(1.5)
    with pytest.raises(RunError, match="compile the policy again"):
        decide(observation, noise=noise)
    expected = _eager(policy, observation, noise)
    actual = policy.compile()(observation, noise=noise)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda o: o.pop("agent_pos"), "must have the key 'agent_pos'"),
        (lambda o: o.update(agent_pos=np.zeros((2, 2, 5))), "compile with batch=2"),
        (lambda o: o.update(point_cloud=np.zeros((1, 2, 9, 3))), "stack the last To frames"),
        (lambda o: o.update(agent_pos=np.array([[["a"] * 5] * 2])), "array of real numbers"),
        (lambda o: o.update(agent_pos=np.full((1, 2, 5), 1j)), "array of real numbers"),
        (lambda o: o.update(agent_pos=np.full((1, 2, 5), np.nan)), "agent_pos must be finite"),
        (lambda o: o.update(point_cloud=np.full((1, 2, 8, 3), np.inf)), "48 NaN or infinite"),
        (lambda o: o.update(point_cloud=np.full((1, 2, 8, 3), 1e300)), "must be finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_a_bad_observation_is_refused(change, message):
    decide = small_policy().compile(backend="eager")
    observation, _ = _given()
    change(observation)
    with pytest.raises(ObservationError, match=message):
        decide(observation)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"backend": "packd"}, ConfigError, "did you mean 'packed'"),
        ({"backend": "cuda_graph"}, ConfigError, r"device of the backend 'cuda_graph'"),
        ({"precision": "int4"}, ConfigError, r"precision of the backend 'packed'"),
        ({"batch": 0}, ConfigError, "batch"),
        ({"threads": 0}, ConfigError, "threads"),
        ({"device": "abacus"}, BackendError, "device must be one that this machine has"),
        ({"steps": 0}, ConfigError, "steps"),
    ],
)
def test_a_target_that_cannot_be_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        Runtime(small_policy(), **options)


def test_noise_of_another_shape_is_refused():
    with pytest.raises(ObservationError, match="noise must have the shape"):
        small_policy().compile()(_given()[0], noise=np.zeros((1, 5, 2)))
