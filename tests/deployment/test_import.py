"""An imported checkpoint decides as the released code does, without what decides nothing."""

import pytest
import torch
import yaml

from deployment.released import (
    ACTION,
    HORIZON,
    KINDS,
    POINTS,
    STATE,
    WIDTHS,
    Released,
    configuration,
    payload,
)
from mfpolicy import cli
from mfpolicy.deployment.importing import import_checkpoint, released_state
from mfpolicy.deployment.importing.dead_taps import dead_taps
from mfpolicy.networks.live_conv import LiveConv1d, LiveUpsample1d
from mfpolicy.policy import load_policy

ROWS = 16


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def checkpoint(kind, tmp_path_factory):
    path = tmp_path_factory.mktemp(kind) / "latest.ckpt"
    torch.save(payload(kind), path)
    return path


def _observation() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {
        "point_cloud": torch.rand(ROWS, 2, POINTS, 3, generator=generator),
        "agent_pos": torch.randn(ROWS, 2, STATE, generator=generator),
    }


def _noise(kind: str) -> torch.Tensor:
    return torch.randn(ROWS, HORIZON[kind], ACTION, generator=torch.Generator().manual_seed(3))


def _assert_same_actions(policy, released: Released) -> None:
    noise = _noise(released.kind)
    expected = released.act(_observation(), noise)
    found = policy.predict(_observation(), noise=noise)
    assert expected.std() > 0.1
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-5


def test_the_same_noise_gives_the_same_action(kind, checkpoint):
    imported = import_checkpoint(checkpoint)
    assert imported.kind == kind
    _assert_same_actions(imported.policy, Released(kind))


def test_it_is_compiled_as_any_other_policy(kind, checkpoint):
    _assert_compiles(import_checkpoint(checkpoint).policy, kind)


def _assert_compiles(policy, kind):
    decide = policy.compile(batch=ROWS, backend="packed")
    found = torch.from_numpy(decide(_observation(), noise=_noise(kind).numpy()))
    eager = policy.predict(_observation(), noise=_noise(kind))
    assert (found - eager).abs().max() < 3e-5


def test_weights_without_averaging_are_others(kind, checkpoint):
    policy = import_checkpoint(checkpoint, weights="model").policy
    _assert_same_actions(policy, Released(kind, seed=1))
    averaged = import_checkpoint(checkpoint).policy
    noise = _noise(kind)
    difference = policy.predict(_observation(), noise=noise) - averaged.predict(
        _observation(), noise=noise
    )
    assert difference.abs().max() > 0.1


def test_the_container_before_pytorch_1_6_reads_alike(kind, tmp_path):
    path = tmp_path / "legacy.ckpt"
    torch.save(payload(kind), path, _use_new_zipfile_serialization=False)
    _assert_same_actions(import_checkpoint(path).policy, Released(kind))


def test_half_precision_and_shared_storages_are_read(tmp_path):
    released = Released("mp1")
    released.policy.half().float()
    state = {name: value.half() for name, value in released.state().items()}
    both = torch.stack([torch.full((ACTION,), 2.0), torch.full((ACTION,), 0.25)])
    released.affine["action"] = (both[0], both[1])
    state["normalizer.params_dict.action.scale"] = both[0]
    state["normalizer.params_dict.action.offset"] = both[1]
    for name in ("point_cloud", "agent_pos"):
        released.affine[name] = tuple(part.half().float() for part in released.affine[name])
    torch.save(payload("mp1", state_dicts={"ema_model": state}), tmp_path / "half.ckpt")
    _assert_same_actions(import_checkpoint(tmp_path / "half.ckpt").policy, released)


def test_every_weight_is_kept_or_dropped_for_a_reason(kind, checkpoint):
    imported = import_checkpoint(checkpoint)
    given = sum(value.numel() for value in Released(kind).state().values())
    dropped = sum(each.weights for each in imported.dropped)
    colours = 2 * 3  # scale and offset of the colours, which no cloud has
    start = imported.policy.network.time.start
    unused = 0 if kind == "mp1" else sum(p.numel() for p in start.parameters())
    merged = imported.kept - unused
    assert given - dropped - colours == merged
    assert all(each.reason and each.weights > 0 for each in imported.dropped)
    taps = [each for each in imported.dropped if "zero padding" in each.reason]
    assert bool(taps) == (HORIZON[kind] == 4)


def test_a_policy_survives_their_names_and_back(kind, checkpoint, tmp_path):
    policy = import_checkpoint(checkpoint).policy
    state = released_state(policy, kind)
    theirs = {name for name in Released(kind).state() if "input_stats" not in name}
    assert set(state) == {n for n in theirs if "var_est" not in n and "_dummy" not in n}
    torch.save(payload(kind, state_dicts={"ema_model": state}), tmp_path / "again.ckpt")
    again = import_checkpoint(tmp_path / "again.ckpt").policy
    for name, value in policy.state_dict().items():
        assert torch.allclose(again.state_dict()[name], value, atol=1e-6), name


def test_one_residual_block_a_level_is_the_smaller_dp3(tmp_path):
    target = "diffusion_policy_3d.policy.simple_dp3.SimpleDP3"
    config = configuration("dp3", {"policy._target_": target})
    whole = Released("dp3").state()
    state = {}
    for name, value in whole.items():
        level, number = _place(name)
        if number == 1:
            continue
        shift = level is not None and number == 2
        state[name.replace(f"{level}.2.conv", f"{level}.1.conv") if shift else name] = value
    torch.save({"cfg": config, "state_dicts": {"ema_model": state}}, tmp_path / "simple.ckpt")
    imported = import_checkpoint(tmp_path / "simple.ckpt")
    released = Released("dp3")
    model = released.policy.model
    for pair in (*model.down_modules, *model.up_modules):
        pair[1] = _Through()
    model.mid_modules[1] = _Through()
    _assert_same_actions(imported.policy, released)
    assert imported.policy.spec.network["blocks"] == 1
    _assert_compiles(imported.policy, "dp3")


class _Through(torch.nn.Module):
    def forward(self, x, feature):
        return x


def _place(name: str) -> tuple[str | None, int | None]:
    """Level and number within it of a weight of the U-Net."""
    parts = name.split(".")
    if parts[:2] == ["model", "mid_modules"]:
        return None, int(parts[2])
    if parts[0] == "model" and parts[1] in ("down_modules", "up_modules"):
        return f"{parts[1]}.{parts[2]}", int(parts[3])
    return None, None


@pytest.mark.parametrize(
    ("conv", "padded"),
    [
        *(
            (
                LiveConv1d(2, 3, kernel_size=kernel, length=length, stride=stride),
                torch.nn.Conv1d(2, 3, kernel, stride, kernel // 2),
            )
            for kernel in (1, 3, 5, 7)
            for length in (1, 2, 3, 4, 8)
            for stride in (1, 2)
        ),
        *(
            (LiveUpsample1d(2, length=length), torch.nn.ConvTranspose1d(2, 2, 4, 2, 1))
            for length in (1, 2, 4)
        ),
    ],
    ids=lambda module: str(module.weight.shape[2]) if hasattr(module, "length") else "padded",
)
def test_a_tap_is_dead_exactly_if_no_value_of_it_changes_anything(conv, padded):
    x = torch.randn(4, 2, conv.length, generator=torch.Generator().manual_seed(0))
    before = padded(x)
    found = dead_taps("conv", conv)
    dead = () if found is None else found.taps
    for tap in range(padded.weight.shape[2]):
        changed = torch.clone(padded.weight.detach())
        changed[:, :, tap] += 1e3
        weights = {"weight": changed, "bias": padded.bias}
        after = torch.func.functional_call(padded, weights, (x,))
        assert torch.equal(after, before) == (tap in dead)


def test_the_command_makes_a_run_folder(kind, checkpoint, tmp_path, capsys):
    out = tmp_path / "run"
    words = ["import", str(checkpoint), f"out={out}", "task=metaworld/door-open"]
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    assert "no output depends on it" in printed or kind == "dp3"
    assert f"mfpolicy eval {out}" in printed.replace("\n", "")
    policy = load_policy(out)
    _assert_same_actions(policy, Released(kind))
    assert policy.spec.task == "metaworld/door-open"
    assert (policy.spec.points, policy.spec.recipe) == (POINTS, None)
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert config["imported"]["kind"] == kind
    assert config["network"]["widths"] == list(WIDTHS)
    card = (out / "README.md").read_text()
    assert f"imported from: `latest.ckpt` of {kind}" in card
    assert "world frame" not in card
    assert cli.main(words) == 2
    assert "new or empty" in capsys.readouterr().err
