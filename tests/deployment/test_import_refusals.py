"""What has no counterpart here is refused by name, and no weight that decides is ever lost."""

import pytest
import torch

from deployment.released import Released, configuration, payload
from mfpolicy import cli
from mfpolicy.deployment.importing import import_checkpoint
from mfpolicy.errors import RunError


def _import(tmp_path, released="mp1", *, changes=None, state=None, **options):
    content = payload(released)
    if changes is not None:
        content["cfg"] = configuration(released, changes)
    if state is not None:
        content["state_dicts"] = {"ema_model": state}
    torch.save(content, tmp_path / "latest.ckpt")
    return import_checkpoint(tmp_path / "latest.ckpt", **options)


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("mp1", "policy.use_pc_color", True),
        ("mp1", "policy.condition_type", "cross_attention_film"),
        ("mp1", "policy.use_mid_condition", False),
        ("mp1", "policy.obs_as_global_cond", False),
        ("mp1", "policy.n_groups", 4),
        ("mp1", "policy.pointnet_type", "pointnet++"),
        ("dp3", "policy.pointcloud_encoder_cfg.use_layernorm", False),
        ("dp3", "policy.pointcloud_encoder_cfg.final_norm", "none"),
        ("flowpolicy", "policy.pointcloud_encoder_cfg.use_projection", False),
        ("dp3", "policy.noise_scheduler._target_", "diffusers.DDPMScheduler"),
        ("dp3", "policy.noise_scheduler.prediction_type", "epsilon"),
        ("dp3", "policy.noise_scheduler.beta_schedule", "linear"),
        ("dp3", "policy.noise_scheduler.steps_offset", 1),
        ("mp1", "policy.horizon", 0),
        ("mp1", "policy.horizon", "${eval:'4'}"),
        ("mp1", "policy.n_obs_steps", None),
        ("mp1", "policy.kernel_size", 2.5),
        ("mp1", "policy.down_dims", ["wide"]),
        ("mp1", "task.shape_meta.action.shape", []),
    ],
)
def test_an_option_without_a_counterpart_is_named(kind, key, value, tmp_path):
    place = key.removeprefix("task.").replace(".", r"\.")
    with pytest.raises(RunError, match=place):
        _import(tmp_path, kind, changes={key: value})


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"task.shape_meta.obs.imagin_robot": {"shape": [96, 7]}}, "imagin_robot"),
        ({"policy.horizon": 6}, "horizon"),
        ({"policy.kernel_size": 4}, "kernel_size"),
        ({"policy._target_": "diffusion_policy.policy.Image"}, "Image"),
        ({"policy.down_dims": [64, 64]}, "missing|shape"),
        ({"policy.down_dims": [64, 64, 256]}, "shape"),
        ({"policy.diffusion_step_embed_dim": 64}, "shape"),
        ({"task.shape_meta.obs.agent_pos.shape": [7]}, "agent_pos"),
        ({"task.shape_meta.action.shape": [7]}, "action"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, match, tmp_path):
    with pytest.raises(RunError, match=match):
        _import(tmp_path, changes=changes)


def test_a_missing_weight_is_named(tmp_path):
    state = Released("mp1").state()
    del state["model.mid_modules.1.blocks.0.block.0.weight"]
    with pytest.raises(RunError, match=r"model\.mid_modules\.1\.blocks\.0\.block\.0\.weight"):
        _import(tmp_path, state=state)


@pytest.mark.parametrize(
    "name",
    [
        "model.local_cond_encoder.0.weight",
        "obs_encoder.extractor.mlp.9.weight",
        "normalizer.params_dict.action.power",
        "head.weight",
    ],
)
def test_an_unknown_weight_is_never_dropped(name, tmp_path):
    state = {**Released("mp1").state(), name: torch.zeros(3)}
    with pytest.raises(RunError, match=name.replace(".", r"\.")):
        _import(tmp_path, state=state)


def test_a_second_time_embedding_is_never_dropped(tmp_path):
    """MP1's weights read as FlowPolicy's would lose the embedding of r."""
    config = configuration("mp1", {"policy._target_": "mine.Policy"})
    torch.save(payload("mp1", cfg=config), tmp_path / "latest.ckpt")
    with pytest.raises(RunError, match="diffusion_step_encoder_rs"):
        import_checkpoint(tmp_path / "latest.ckpt", kind="flowpolicy")
    assert import_checkpoint(tmp_path / "latest.ckpt", kind="mp1").kind == "mp1"


@pytest.mark.parametrize("part", ["scale", "offset"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "missing"])
def test_a_normaliser_must_be_whole(part, value, tmp_path):
    state = Released("dp3").state()
    name = f"normalizer.params_dict.agent_pos.{part}"
    if value == "missing":
        del state[name]
    else:
        state[name][1] = value
    with pytest.raises(RunError, match="agent_pos"):
        _import(tmp_path, "dp3", state=state)


def test_a_normaliser_of_one_number_holds_for_every_channel(tmp_path):
    state = Released("dp3").state()
    state["normalizer.params_dict.point_cloud.scale"] = torch.tensor([2.0])
    state["normalizer.params_dict.point_cloud.offset"] = torch.tensor([1.0])
    cloud = _import(tmp_path, "dp3", state=state).policy.normalizer.point_cloud
    assert torch.equal(cloud(torch.tensor([0.5, 1.0, 2.0])), torch.tensor([2.0, 3.0, 5.0]))


@pytest.mark.parametrize("key", ["cfg", "state_dicts"])
def test_a_file_without_a_part_is_refused(key, tmp_path):
    content = payload("mp1")
    del content[key]
    torch.save(content, tmp_path / "latest.ckpt")
    with pytest.raises(RunError, match=key):
        import_checkpoint(tmp_path / "latest.ckpt")


def test_weights_without_a_checkpoint_around_them_are_refused(tmp_path):
    torch.save(Released("mp1").state(), tmp_path / "state.pt")
    with pytest.raises(RunError, match="cfg"):
        import_checkpoint(tmp_path / "state.pt")


def test_averaged_weights_that_were_not_kept_are_asked_for_by_name(tmp_path):
    torch.save(payload("mp1", state_dicts={"model": Released("mp1").state()}), tmp_path / "x.ckpt")
    with pytest.raises(RunError, match="weights=model"):
        import_checkpoint(tmp_path / "x.ckpt")
    assert import_checkpoint(tmp_path / "x.ckpt", weights="model").kind == "mp1"


def test_the_kind_must_be_the_files(tmp_path):
    with pytest.raises(RunError, match="kind=dp3"):
        _import(tmp_path, "mp1", kind="dp3")


def test_the_released_sampler_is_chosen_and_the_right_one_can_be(tmp_path):
    legacy = _import(tmp_path, "dp3").policy
    correct = import_checkpoint(tmp_path / "latest.ckpt", sampler="correct").policy
    assert (legacy.objective.sampler, correct.objective.sampler) == ("legacy", "correct")


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["nowhere.ckpt"], "must be a file"),
        (["nowhere.ckpt", "kind=dp4"], "kind"),
        (["nowhere.ckpt", "weights=best"], "weights"),
        (["nowhere.ckpt", "task=metaworld/drawer-opne"], "drawer-open"),
        ([], "checkpoint"),
    ],
)
def test_the_command_explains_what_is_wrong(words, match, tmp_path, capsys):
    out = tmp_path / "run"
    assert cli.main(["import", *words, f"out={out}"]) == 2
    assert match in capsys.readouterr().err
    assert not out.exists()
