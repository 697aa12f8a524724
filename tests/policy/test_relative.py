"""A policy whose points are seen from the hand too: what it sees, and that it is deployed so."""

import dataclasses

import numpy as np
import pytest
import torch

from mfpolicy import build_policy
from mfpolicy.config import compose_preset
from mfpolicy.config.suites import world_vectors
from mfpolicy.data import ChannelNormalizer, Normalizer
from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.export.traced import trace
from mfpolicy.encoders.relative import RelativePoints
from mfpolicy.errors import ConfigError
from mfpolicy.policy import Policy, load_policy, save_policy
from mfpolicy.presets import policy_spec
from oracles.small_policy import small_policy
from policy.test_apart import OPTIONS, PAIRS
from policy.test_parts import NETWORKS, _batch, _given

HAND = [[1, 2, 4]]  # of a state of five
HANDS = [*HAND, [4, 0, 3]]
SIZES = {"point_dim": 3, "state_dim": 9, "action_dim": 4}


def _normalizer(point_dim=3):
    drawn = torch.Generator().manual_seed(3)
    return Normalizer(
        *(
            ChannelNormalizer(*torch.rand(2, size, generator=drawn).add(0.5))
            for size in (point_dim, 5, 2)
        )
    )


def _policy(encoder, *, positions=HAND, alone=False, near_m=None, point_dim=3, points=8):
    network = PAIRS[encoder]
    spec = dataclasses.replace(
        small_policy().spec,
        encoder={
            "name": encoder,
            **OPTIONS[encoder],
            "relative_to": positions,
            "relative_alone": alone,
            "relative_near_m": near_m,
        },
        network={"name": network, **NETWORKS[network]},
        point_dim=point_dim,
        points=points,
    )
    torch.manual_seed(0)
    return Policy(spec, _normalizer(point_dim)).eval()


@pytest.mark.parametrize("positions", [HAND, HANDS])
def test_what_is_added_is_the_way_from_the_hand_in_metres_of_the_cloud(positions):
    normalizer = _normalizer()
    relative = RelativePoints(positions, state_dim=5)
    relative.fit(normalizer.point_cloud, normalizer.agent_pos)
    points, states = torch.rand(6, 8, 3), torch.rand(6, 5)
    seen = relative(normalizer.point_cloud(points), normalizer.agent_pos(states))
    assert seen.shape[-1] == 3 + relative.added
    torch.testing.assert_close(seen[..., :3], normalizer.point_cloud(points))
    for turn, places in enumerate(positions):
        metres = seen[..., 3 + 3 * turn : 6 + 3 * turn] / normalizer.point_cloud.scale
        torch.testing.assert_close(metres, points - states[:, None, places])


@pytest.mark.parametrize("alone", [False, True])
def test_near_the_hand_the_way_is_magnified_and_ends_at_one_beyond(alone):
    normalizer, near_m = _normalizer(), [0.01, 0.1]
    relative = RelativePoints(HANDS, state_dim=5, alone=alone, near_m=near_m)
    relative.fit(normalizer.point_cloud, normalizer.agent_pos)
    points, states = torch.rand(6, 8, 3), torch.rand(6, 5)
    seen = relative(normalizer.point_cloud(points), normalizer.agent_pos(states))
    away = (points[:, :, None] - states[:, None, HANDS]).flatten(2)  # (F, P, 6), metres
    assert relative.added == seen.shape[-1] - 3
    for magnified, width in zip(seen[..., -12:].split(6, dim=2), near_m, strict=True):
        torch.testing.assert_close(magnified, torch.tanh(away / width), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("encoder", PAIRS)
def test_seen_from_the_hand_alone_a_scene_may_lie_anywhere(encoder):
    policy = _policy(encoder, alone=True, point_dim=6).double()
    drawn = torch.Generator().manual_seed(4)
    points, states = (torch.rand(size, generator=drawn).double() for size in ((4, 8, 6), (4, 5)))
    step = torch.tensor([0.5, -0.25, 2.0, 0, 0, 0], dtype=torch.float64)
    moved = states.index_add(1, torch.tensor(HAND[0]), step[:3].expand(4, 3))

    def encoded(points, states):
        seen = policy.normalizer.point_cloud(points), policy.normalizer.agent_pos(states)
        return policy.encoder.cloud(policy.encoder.relative(*seen))

    torch.testing.assert_close(encoded(points + step, moved), encoded(points, states))
    assert not torch.allclose(encoded(points + step, states), encoded(points, states))


@pytest.mark.parametrize("encoder", PAIRS)
def test_every_parameter_is_trained_and_the_state_reaches_the_points(encoder):
    policy = _policy(encoder, near_m=[0.1])
    loss, _ = policy.loss(_batch(policy), torch.Generator().manual_seed(2))
    loss.backward()
    assert [n for n, p in policy.named_parameters() if p.grad is None or not p.grad.any()] == []
    points, states = torch.rand(2, 8, 3), torch.rand(2, 5)
    moved = states + torch.tensor([0, 1, 0, 0, 0.0])
    seen = [policy.encoder.cloud(policy.encoder.relative(points, each)) for each in (states, moved)]
    assert not torch.allclose(*seen)


@pytest.mark.parametrize(
    ("positions", "alone", "near_m", "point_dim"),
    [(HAND, False, [0.3], 3), (HANDS, False, None, 6), (HANDS, True, [0.1, 1], 6)],
)
@pytest.mark.parametrize("encoder", PAIRS)
def test_it_is_compiled_saved_and_read_back(encoder, positions, alone, near_m, point_dim, tmp_path):
    given = {"positions": positions, "alone": alone, "near_m": near_m, "point_dim": point_dim}
    policy = _policy(encoder, **given)
    observation, noise = _given(rows=2)
    cloud = np.random.default_rng(5).random((2, 2, 8, point_dim))
    observation["point_cloud"] = cloud * [1, 1, 1, 255, 255, 255][:point_dim]
    expected = policy.predict(observation, noise=torch.from_numpy(noise)).numpy()
    decide = policy.compile(batch=2)
    assert decide.backend == ("packed" if encoder == "pointnet" else "eager")
    np.testing.assert_allclose(decide(observation, noise=noise), expected, rtol=0, atol=1e-5)
    save_policy(policy, tmp_path)
    acted = load_policy(tmp_path).predict(observation, noise=torch.from_numpy(noise)).numpy()
    assert np.array_equal(acted, expected)


@pytest.mark.parametrize("encoder", PAIRS)
def test_a_traced_graph_takes_any_number_of_points(encoder):
    policy = _policy(encoder, points=None, near_m=[0.1])
    graph = trace(ActionModule(policy)).module()
    observation, noise = _given(rows=3)
    for points in (8, 300):
        cloud = np.random.default_rng(points).random((3, 2, points, 3), dtype=np.float32)
        inputs = (cloud, observation["agent_pos"].astype(np.float32), noise)
        with torch.no_grad():
            acted = graph(*(torch.from_numpy(value) for value in inputs))
        seen = {**observation, "point_cloud": cloud}
        expected = policy.predict(seen, noise=torch.from_numpy(noise))
        torch.testing.assert_close(acted, expected, rtol=0, atol=1e-5)


def test_auto_is_the_hand_where_all_tasks_say_where_it_is():
    config = compose_preset("mp1_mixer")
    assert config.encoder["relative_to"] == "auto"

    def settled(*tasks):
        encoder = policy_spec(config, **SIZES, tasks=tasks).encoder
        widths = config.encoder["relative_near_m"]
        assert encoder["relative_near_m"] == (widths if encoder["relative_to"] else None)
        return encoder["relative_to"]

    assert settled("metaworld/push") == world_vectors("metaworld/push").state_positions[:1]
    assert settled("metaworld/push", "metaworld/reach") == ((0, 1, 2),)
    for tasks in ((), ("adroit/door",), ("my-robot/pour",), ("metaworld/push", "adroit/door")):
        assert settled(*tasks) is None
    assert build_policy("mp1_mixer", **SIZES).encoder.relative is None
    assert compose_preset("mp1").encoder["relative_to"] is None, "as its paper has it"


@pytest.mark.parametrize(
    "positions",
    [
        "hand",
        "auto",
        [],
        3,
        [0, 1, 2],
        [[0, 1]],
        [[0, 1, 1]],
        [[0, 1, 5]],
        [[-1, 0, 1]],
        [[0, 1, 2.0]],
    ],
)
def test_what_are_no_positions_in_the_state_is_refused(positions):
    with pytest.raises(ConfigError, match=r"relative_to must be null, auto, or.*in 0 to 4"):
        _policy("pointnet", positions=positions)


def test_colors_are_asked_for_also_where_points_have_six_values_from_the_hand():
    encoder = {"name": "pointnet", "needs_color": True, "relative_to": HAND}
    with pytest.raises(ConfigError, match="policy.color=true"):
        Policy(dataclasses.replace(small_policy().spec, encoder=encoder))


def test_alone_from_nowhere_is_refused():
    with pytest.raises(ConfigError, match="relative_alone needs a position"):
        _policy("pointnet", positions=None, alone=True)
    with pytest.raises(ConfigError, match="relative_alone must be true or false"):
        _policy("pointnet", alone="yes")


@pytest.mark.parametrize("near_m", [0, 0.1, "0.1", [0], [-0.1], ["0.1"], [True], [float("nan")]])
@pytest.mark.parametrize("positions", [HAND, None])
def test_what_are_no_widths_is_refused(near_m, positions):
    with pytest.raises(ConfigError, match=r"relative_near_m must be null or a list of widths"):
        _policy("pointnet", positions=positions, near_m=near_m)


def test_widths_say_nothing_of_a_task_without_positions():
    assert _policy("pointnet", positions=None, near_m=[0.1]).encoder.relative is None
