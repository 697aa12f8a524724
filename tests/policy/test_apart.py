"""A policy that encodes the clouds of two cameras apart: it learns, decides, and is deployed."""

import dataclasses

import numpy as np
import pytest
import torch

from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.export import export_policy
from mfpolicy.deployment.export.robot_policy import RobotPolicy
from mfpolicy.deployment.export.traced import trace
from mfpolicy.errors import ConfigError, ObservationError
from mfpolicy.pointcloud import PointCloudRecipe, cloud_of_cameras, crop
from mfpolicy.policy import Policy, load_policy, save_policy
from oracles.small_policy import MIXER, small_policy
from policy.test_parts import ENCODERS, NATURAL, NETWORKS, _batch, _given
from real_robot.core.facts import PolicyFacts

SIDE = {"camera": "side", "camera_position": [1.0, 0.0, 1.0]}
RECIPE = {
    "camera": "top",
    "camera_position": [0.0, 0.0, 1.0],
    "image_size": 32,
    "crop_min": [-1.0, -1.0, 0.0],
    "crop_max": [1.0, 1.0, 1.0],
    "points": 8,
    "further_cameras": [SIDE],
    "clouds": "apart",
}
PAIRS = {**NATURAL, "pointnet": "mlp_mixer"}
OPTIONS = {**ENCODERS, "pointnet": {"widths": [8], "output_dim": 8}}


def _policy(encoder, *, recipe=RECIPE, points=8, **of_encoder):
    network = PAIRS[encoder]
    spec = dataclasses.replace(
        small_policy().spec,
        encoder={"name": encoder, **OPTIONS[encoder], **of_encoder},
        network={"name": network, **NETWORKS[network]},
        recipe=recipe,
        points=points,
    )
    torch.manual_seed(0)
    return Policy(spec).eval()


@pytest.mark.parametrize("encoder", PAIRS)
def test_every_parameter_is_trained(encoder):
    policy = _policy(encoder)
    assert len(policy.encoder.cloud.encoders) == 2
    loss, _ = policy.loss(_batch(policy), torch.Generator().manual_seed(2))
    loss.backward()
    assert [n for n, p in policy.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("encoder", PAIRS)
def test_it_is_compiled_saved_and_read_back(encoder, tmp_path):
    policy = _policy(encoder)
    observation, noise = _given(rows=2)
    expected = policy.predict(observation, noise=torch.from_numpy(noise)).numpy()
    decide = policy.compile(batch=2)
    assert decide.backend == "eager"
    np.testing.assert_allclose(decide(observation, noise=noise), expected, rtol=0, atol=1e-5)
    save_policy(policy, tmp_path)
    acted = load_policy(tmp_path).predict(observation, noise=torch.from_numpy(noise)).numpy()
    assert np.array_equal(acted, expected)


def test_packed_loops_are_for_one_cloud():
    with pytest.raises(ConfigError, match="pointnet, of one cloud.*backend=onnx"):
        _policy("pointnet").compile(backend="packed")


def test_the_exported_folder_takes_a_cloud_of_each_camera(tmp_path):
    """The export itself compares the graph's decisions with the policy's."""
    policy = _policy("pointnet")
    save_policy(policy, tmp_path / "run")
    folder = export_policy(tmp_path / "run", tmp_path / "robot", format="folder").path
    robot = RobotPolicy(folder, threads=1)
    assert (robot.apart, robot.cameras) == (True, ["top", "side"])
    drawn = np.random.default_rng(0)
    seen = [drawn.uniform(-1.2, 1.2, (count, 3)).astype(np.float32) for count in (50, 60)]
    state, noise = np.zeros(5, np.float32), drawn.standard_normal((4, 2)).astype(np.float32)
    with pytest.raises(ValueError, match=r"list of 2 arrays, of top, side. Received: ndarray"):
        robot.observe(seen[0], state)
    with pytest.raises(ValueError, match=r"list of 2 arrays, of top, side. Received: 1"):
        robot.observe(seen[:1], state)
    robot.observe(seen, state)
    recipe = PointCloudRecipe.from_dict(RECIPE)
    inside = [points[crop(points, recipe.crop_min, recipe.crop_max)] for points in seen]
    cloud = cloud_of_cameras(inside, recipe)
    observation = {"point_cloud": np.stack([cloud] * 2)[None], "agent_pos": np.zeros((1, 2, 5))}
    expected = policy.predict(observation, noise=torch.from_numpy(noise)[None])[0].numpy()
    np.testing.assert_allclose(robot.act(noise), expected, rtol=0, atol=1e-5)
    assert "`side` at [1.0, 0.0, 1.0] m, each camera's points" in (folder / "README.md").read_text()


def test_a_robot_that_gives_one_cloud_refuses_it():
    spec = _policy("pointnet").spec
    with pytest.raises(ConfigError, match="joined.*clouds=apart of top, side"):
        PolicyFacts.of(spec)
    merged = dataclasses.replace(spec, recipe={**RECIPE, "clouds": "merged"}, control_rate_hz=20.0)
    assert PolicyFacts.of(merged).points == 8


def test_a_traced_graph_takes_any_number_of_points_that_can_be_divided():
    policy = _policy("pointnet", points=None)
    graph = trace(ActionModule(policy)).module()
    observation, noise = _given(rows=3)
    for points in (policy.encoder.cloud.least_points, 8, 700):
        cloud = np.random.default_rng(points).random((3, 2, points, 3), dtype=np.float32)
        inputs = (cloud, observation["agent_pos"].astype(np.float32), noise)
        with torch.no_grad():
            acted = graph(*(torch.from_numpy(value) for value in inputs))
        seen = {**observation, "point_cloud": cloud}
        expected = policy.predict(seen, noise=torch.from_numpy(noise))
        torch.testing.assert_close(acted, expected, rtol=0, atol=1e-5)
    with pytest.raises(ObservationError, match="7 points, 2 clouds"):
        policy.predict({**observation, "point_cloud": cloud[:, :, :7]})


def test_the_encoder_may_say_the_number_itself_where_no_recipe_does():
    assert len(_policy("pointnet", recipe=None, clouds=4).encoder.cloud.encoders) == 4
    assert not hasattr(_policy("pointnet", clouds=1).encoder.cloud, "encoders")  # one for both
    merged = {**RECIPE, "clouds": "merged"}
    assert not hasattr(_policy("pointnet", recipe=merged).encoder.cloud, "encoders")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"clouds": 4}, "encoder.clouds must be .*or 1.*4, the data keep 2"),
        ({"recipe": {**RECIPE, "clouds": "merged"}, "clouds": 2}, "2, the data keep 1"),
        ({"recipe": None, "clouds": 3}, "8 points, 3 clouds.*policy.points=6"),
        ({"clouds": 0}, "encoder.clouds must"),
        ({"clouds": True}, "encoder.clouds must be a whole number"),
    ],
)
def test_a_number_that_does_not_fit_is_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        _policy("pointnet", **options)


def test_a_policy_of_one_camera_is_what_it_was():
    """The option, off, changes neither weights nor their names."""
    plain = small_policy(network=MIXER)
    encoder = {**plain.spec.encoder, "clouds": None}
    torch.manual_seed(0)
    again = Policy(dataclasses.replace(plain.spec, encoder=encoder))
    ours, theirs = plain.state_dict(), again.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in ours)
