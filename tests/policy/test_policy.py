"""The policy: shapes, noise, saving, and every observation it must refuse."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import mfpolicy
from mfpolicy.errors import BackendError, ConfigError, ObservationError, RunError
from mfpolicy.policy import Policy, PolicySpec, load_policy, read_spec, save_policy
from mfpolicy.types import Batch, Observation

SIZES = {"point_dim": 3, "state_dim": 9, "action_dim": 4}


def _spec(**changes) -> PolicySpec:
    values = {
        "preset": "test",
        **SIZES,
        "n_obs_steps": 2,
        "horizon": 4,
        "n_action_steps": 3,
        "encoder": {"name": "pointnet", "widths": [16, 16]},
        "network": {"name": "unet1d", "widths": [16, 16, 16], "time_dim": 8},
        "objective": {"name": "meanflow"},
        "points": 32,
        "task": "metaworld/reach",
    }
    return PolicySpec(**{**values, **changes})


@pytest.fixture
def policy():
    torch.manual_seed(0)
    return Policy(_spec()).eval()


@pytest.fixture
def observation():
    random = np.random.default_rng(0)
    return {
        "point_cloud": random.random((5, 2, 32, 3), dtype=np.float32),
        "agent_pos": random.random((5, 2, 9), dtype=np.float32),
    }


def _batch(rows: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        point_cloud=torch.rand(rows, 2, 32, 3, generator=generator),
        agent_pos=torch.rand(rows, 2, 9, generator=generator),
        action=torch.rand(rows, 4, 4, generator=generator),
        episode=torch.zeros(rows, dtype=torch.int64),
        step=torch.arange(rows),
    )


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_chunk_of_executed_actions_per_row(policy, observation, steps):
    assert policy.predict(observation, steps=steps).shape == (5, 3, 4)


def test_dict_dataclass_numpy_and_torch_are_one(policy, observation):
    noise = torch.randn(5, 4, 4)
    by_dict = policy.predict(observation, noise=noise)
    tensors = {key: torch.from_numpy(value) for key, value in observation.items()}
    assert torch.equal(by_dict, policy.predict(tensors, noise=noise))
    assert torch.equal(by_dict, policy.predict(Observation(**observation), noise=noise))


def test_noise_or_generator_decides_the_actions(policy, observation):
    def drawn(seed):
        return policy.predict(observation, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    noise = torch.randn(5, 4, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(drawn(1), policy.predict(observation, noise=noise))


def test_rows_of_a_batch_do_not_mix(policy, observation):
    noise = torch.randn(5, 4, 4)
    whole = policy.predict(observation, noise=noise)
    one = {key: value[3:4] for key, value in observation.items()}
    torch.testing.assert_close(policy.predict(one, noise=noise[3:4]), whole[3:4])


def test_executed_actions_start_at_the_last_observed_step(observation):
    """With a network that returns the noise minus a ramp, the chunk is the ramp itself."""
    policy = Policy(_spec()).eval()
    ramp = torch.arange(4.0)[None, :, None].expand(5, 4, 4)
    policy.network.forward = lambda z, r, t, prepared: z - ramp
    actions = policy.predict(observation)
    assert actions[0, :, 0].tolist() == [1, 2, 3]


def test_actions_come_back_in_the_environments_units(policy, observation):
    noise = torch.randn(5, 4, 4)
    plain = policy.predict(observation, noise=noise)
    policy.normalizer.action.scale.fill_(0.5)
    policy.normalizer.action.offset.fill_(3.0)
    torch.testing.assert_close(policy.predict(observation, noise=noise), plain / 0.5 + 3.0)


@pytest.mark.parametrize("kind", ["none", "reference", "cfg"])
@pytest.mark.parametrize("source", ["network", "encoder"])
def test_every_parameter_learns(kind, source):
    torch.manual_seed(0)
    objective = {
        "name": "meanflow",
        "guidance": {"kind": kind, "omega": 2.0, "drop": 0.5},
        "dispersive": {"kind": "info_nce_l2", "source": source, "near_steps": 1},
    }
    policy = Policy(_spec(objective=objective))
    loss, diagnostics = policy.loss(_batch(32), torch.Generator().manual_seed(0))
    loss.backward()
    assert diagnostics["dispersive"].isfinite()
    idle = [n for n, p in policy.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_presets_predict(observation):
    for preset in ("mp1", "mp1_small", "mp1_mixer"):
        policy = mfpolicy.build_policy(preset, **SIZES).eval()
        cloud = torch.rand(1, 2, policy.spec.points, 3)
        assert policy.predict({"point_cloud": cloud, "agent_pos": torch.rand(1, 2, 9)}).shape == (
            1,
            3,
            4,
        )


def test_the_state_encoder_is_configured_beside_the_cloud_encoder():
    sizes = {"hidden_dim": 8, "output_dim": 5}
    policy = Policy(_spec(encoder={"name": "pointnet", "output_dim": 7, "state": sizes}))
    assert policy.encoder.output_dim == 2 * (7 + 5)
    with pytest.raises(ConfigError, match="did you mean 'hidden_dim'"):
        Policy(_spec(encoder={"name": "pointnet", "state": {"hiden_dim": 8}}))


def _change(observation, key, value):
    return {**observation, key: value}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda o: {"agent_pos": o["agent_pos"]}, "must have the key 'point_cloud'"),
        (lambda o: _change(o, "point_cloud", o["point_cloud"][:, :, :20]), "(any, 2, 32, 3)"),
        (lambda o: _change(o, "point_cloud", o["point_cloud"][:, :, :0]), "(5, 2, 0, 3)"),
        (lambda o: _change(o, "point_cloud", o["point_cloud"][0]), "batch axis"),
        (lambda o: _change(o, "point_cloud", o["point_cloud"][:, :1]), "(5, 1, 32, 3)"),
        (lambda o: _change(o, "agent_pos", o["agent_pos"][..., :7]), "(5, 2, 9)"),
        (lambda o: _change(o, "agent_pos", o["agent_pos"][:3]), "agent_pos must have shape"),
        (lambda o: _change(o, "agent_pos", o["agent_pos"] * np.nan), "90 NaN or infinite"),
        (lambda o: _change(o, "point_cloud", o["point_cloud"] / 0), "point_cloud must be finite"),
        (lambda o: _change(o, "agent_pos", "left"), "agent_pos must be an array of numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_an_observation_that_does_not_fit_is_refused(policy, observation, change, word):
    with pytest.raises(ObservationError) as caught:
        policy.predict(change(observation))
    assert word in str(caught.value)


def test_noise_of_another_shape_is_refused(policy, observation):
    with pytest.raises(ObservationError, match=r"\(5, 4, 4\)"):
        policy.predict(observation, noise=torch.randn(5, 3, 4))


def test_a_chunk_too_short_for_its_actions_is_refused():
    with pytest.raises(ConfigError, match=r"\[1, 3\]"):
        _spec(n_action_steps=4)


def test_a_saved_policy_comes_back(policy, observation, tmp_path):
    policy.normalizer.action.scale.fill_(0.25)
    save_policy(policy, tmp_path / "run")
    noise = torch.randn(5, 4, 4)
    loaded = mfpolicy.load_policy(tmp_path / "run")
    assert torch.equal(
        loaded.predict(observation, noise=noise), policy.predict(observation, noise=noise)
    )
    assert loaded.spec == read_spec(tmp_path / "run") == policy.spec
    assert not loaded.training
    assert load_policy(tmp_path / "run" / "model.safetensors").spec == policy.spec


def test_saving_over_a_policy_leaves_one_whole_file(policy, tmp_path):
    save_policy(policy, tmp_path)
    save_policy(policy, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o777 == 0o644


def _damage(path, how):
    tensors = load_file(path)
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "not a policy":
        save_file(tensors, path)
    elif how == "other shapes":
        spec = json.dumps(_spec(action_dim=5).to_dict())
        save_file(tensors, path, metadata={"mfpolicy_spec": spec})
    else:
        save_file(tensors, path, metadata={"mfpolicy_spec": '{"surprise": 1}'})


@pytest.mark.parametrize("how", ["truncated", "not a policy", "other shapes", "other spec"])
def test_a_damaged_policy_file_is_refused(policy, tmp_path, how):
    _damage(save_policy(policy, tmp_path), how)
    with pytest.raises(RunError, match="model.safetensors|weights in"):
        load_policy(tmp_path)


def test_a_folder_without_a_policy_is_refused(tmp_path):
    with pytest.raises(RunError, match="must hold model.safetensors"):
        load_policy(tmp_path)


def test_an_unknown_device_is_refused(policy, tmp_path):
    save_policy(policy, tmp_path)
    with pytest.raises(BackendError, match="doctor"):
        load_policy(tmp_path, device="cuda:9")


def test_an_unknown_preset_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="mp1_small"):
        mfpolicy.build_policy("mp1_smal", **SIZES)


@pytest.mark.parametrize(
    ("own", "theirs", "joined"),
    [([1, 2], [2, 3], [1, 2, 3]), ([1, 2], None, [1, 2]), (None, [3], [3]), (None, None, None)],
)
def test_seeds_that_are_known_stay_known_beside_a_teacher(own, theirs, joined):
    one, other = (_spec(demonstration_seeds=seeds) for seeds in (own, theirs))
    assert one.with_seeds_of(other).demonstration_seeds == joined
