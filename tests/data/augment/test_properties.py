"""What is special about each augmentation."""

import dataclasses
import math

import pytest
import torch

from data.augment.conftest import HAND
from mfpolicy.data.augment import (
    ColorJitter,
    CropBox,
    Dropout,
    Jitter,
    Rotation,
    Translation,
)
from mfpolicy.errors import ConfigError
from mfpolicy.types import WorldVectors


def drawn(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_jitter_has_the_stated_deviation_on_coordinates_alone(batch, scene):
    once = dataclasses.replace(batch, frame=None)
    noise = Jitter(std_m=0.01)(once, scene, drawn()).point_cloud - batch.point_cloud
    assert not noise[..., 3:].any()
    values = noise[..., :3].flatten()
    assert float(values.std()) == pytest.approx(0.01, rel=4 / math.sqrt(2 * len(values)))
    assert abs(float(values.mean())) < 4 * 0.01 / math.sqrt(len(values))
    between = torch.stack([noise[:, 0, :, :3].flatten(), noise[:, 2, :, :3].flatten()]).corrcoef()
    assert abs(float(between[0, 1])) < 4 / math.sqrt(len(values) / 3)


def _kept(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Which points (P, C) of a cloud are in another, (P,); all of the other must be among them."""
    equal = (before[:, None] == after[None]).all(-1)  # (P, P)
    assert equal.any(0).all()
    return equal.any(1)


@pytest.mark.parametrize("max_share", [0.0, 0.5, 0.99])
def test_dropout_repeats_kept_points_in_place_of_those_left_out(batch, scene, max_share):
    changed = Dropout(max_share=max_share)(batch, scene, drawn()).point_cloud
    shares = []
    for before, after in zip(batch.point_cloud.flatten(0, 1), changed.flatten(0, 1), strict=True):
        kept = _kept(before, after)
        count = int(kept.sum())
        assert count >= 1
        assert torch.equal(after[:count], before[kept])  # farthest-point order stays
        assert torch.equal(after, after[torch.arange(len(after)) % count])
        shares.append(1 - count / len(after))
    mean = sum(shares) / len(shares)
    assert mean == pytest.approx(max_share / 2, abs=0.05)
    assert max(shares) <= min(1 - 1 / 32, max_share + 0.3)


def test_dropout_of_nearly_everything_leaves_a_point(batch, scene):
    for seed in range(20):
        changed = Dropout(max_share=0.999)(batch, scene, drawn(seed)).point_cloud
        assert changed.isfinite().all()


def test_crop_box_keeps_exactly_the_points_of_a_box(batch, scene):
    changed = CropBox(min_side=0.4, min_points=0.1)(batch, scene, drawn()).point_cloud
    cut = 0
    for before, after in zip(batch.point_cloud, changed, strict=True):  # (To, P, C)
        kept = torch.stack([_kept(b, a) for b, a in zip(before, after, strict=True)])
        xyz = before[..., :3]
        low, high = xyz[kept].amin(0), xyz[kept].amax(0)
        inside = ((xyz >= low) & (xyz <= high)).all(-1)
        assert torch.equal(inside, kept)  # the same box for all frames
        cut += not kept.all()
    assert 5 < cut < len(changed)


@pytest.mark.parametrize("min_points", [1e-6, 0.5, 1.0])
def test_crop_box_never_empties_a_cloud(batch, scene, min_points):
    for seed in range(10):
        changed = CropBox(min_side=0.01, min_points=min_points)(batch, scene, drawn(seed))
        some = (cloud.flatten(0, 1)[::5] for cloud in (batch.point_cloud, changed.point_cloud))
        for before, after in zip(*some, strict=True):
            assert int(_kept(before, after).sum()) >= max(1, min_points * len(before))


@pytest.mark.parametrize("name", ["dropout", "crop_box"])
def test_clouds_of_two_cameras_keep_their_own_points(batch, scene, name):
    """Red is the number of the camera, whose points lie in turns."""
    cloud = batch.point_cloud.clone()
    camera = torch.arange(cloud.shape[2]) % 2
    cloud[..., 3] = camera.float()
    batch = dataclasses.replace(batch, point_cloud=cloud)
    augmentation = {"dropout": Dropout, "crop_box": CropBox}[name]()

    def seen(parts: int) -> torch.Tensor:
        told = dataclasses.replace(scene, parts=parts)
        return augmentation(batch, told, torch.Generator().manual_seed(1)).point_cloud

    apart = seen(2)
    assert torch.equal(apart[..., 3], cloud[..., 3])
    assert not torch.equal(apart, cloud)
    assert not torch.equal(seen(1)[..., 3], cloud[..., 3])  # as one cloud they would mix


def test_rotation_keeps_distances_heights_and_what_is_no_vector(batch, scene):
    changed = Rotation(max_deg=40.0)(batch, scene, drawn())

    def distances(seen):
        points = torch.cat([seen.point_cloud[..., :3], seen.agent_pos[..., None, :3]], dim=2)
        points = points[:12].flatten(1, 2)  # those of all frames and the hand's, one angle for all
        return torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")

    torch.testing.assert_close(distances(changed), distances(batch), rtol=0, atol=1e-5)
    assert torch.equal(changed.point_cloud[..., 2:], batch.point_cloud[..., 2:])  # and colors
    for z in (2, 5, 8):
        assert torch.equal(changed.agent_pos[..., z], batch.agent_pos[..., z])
    assert torch.equal(changed.action[..., 2:], batch.action[..., 2:])
    assert not torch.allclose(changed.action[..., :2], batch.action[..., :2], atol=1e-2)


def test_rotation_turns_actions_with_the_scene(batch, scene):
    """Where an action leads from the hand is turned as the hand and the points are."""
    changed = Rotation(max_deg=40.0)(batch, scene, drawn())
    hand, step = batch.agent_pos[:, 0, :3], batch.action[:, 0, :3]
    to = changed.agent_pos[:, 0, :3] + changed.action[:, 0, :3]
    moved = dataclasses.replace(batch, agent_pos=(hand + step).repeat(1, 3)[:, None])
    expected = Rotation(max_deg=40.0)(moved, scene, drawn()).agent_pos[:, 0, :3]
    torch.testing.assert_close(to, expected)
    middle = (scene.low + scene.high)[:2] / 2
    before, after = hand[:, :2] - middle, changed.agent_pos[:, 0, :2] - middle
    torch.testing.assert_close(after.norm(dim=1), before.norm(dim=1))
    cosine = torch.nn.functional.cosine_similarity(before, after)
    assert float(cosine.min()) >= math.cos(math.radians(40.0)) - 1e-5
    assert float(cosine.min()) < math.cos(math.radians(30.0))


def test_rotation_of_positions_to_be_at_turns_about_the_scene(batch, scene):
    places = WorldVectors(action_positions=((0, 1, 2),))
    where = dataclasses.replace(scene, vectors=places)
    action = batch.agent_pos[..., :4].repeat(1, 2, 1)
    changed = Rotation()(dataclasses.replace(batch, action=action), where, drawn())
    turned = Rotation()(batch, scene, drawn()).agent_pos[..., :3]
    torch.testing.assert_close(changed.action[:, :3, :3], turned)
    assert torch.equal(changed.agent_pos, batch.agent_pos)


def test_rotation_of_clouds_alone_leaves_state_and_action(batch, scene):
    joints = dataclasses.replace(scene, vectors=None, task="adroit/door")
    changed = Rotation(cloud_only=True)(batch, joints, drawn())
    assert torch.equal(changed.agent_pos, batch.agent_pos)
    assert torch.equal(changed.action, batch.action)
    assert not torch.equal(changed.point_cloud, batch.point_cloud)


def test_rotation_of_joint_angles_is_refused_with_both_remedies(scene):
    joints = dataclasses.replace(scene, vectors=None, task="adroit/door")
    with pytest.raises(ConfigError, match=r"'adroit/door'.*state_positions.*cloud_only=true"):
        Rotation().check(joints)
    Rotation(cloud_only=True).check(joints)
    Rotation(state_positions=[[0, 1, 2]]).check(joints)


def test_translation_shifts_all_that_has_a_place_by_one_step(batch, scene):
    places = dataclasses.replace(HAND, action_positions=((0, 1, 3),))
    where = dataclasses.replace(scene, vectors=places)
    changed = Translation(max_m=0.3)(batch, where, drawn())
    step = changed.agent_pos[:, 0, :2] - batch.agent_pos[:, 0, :2]  # (B, 2)
    assert 0.25 < float(step.abs().amax()) <= 0.3
    assert float(step.amin()) < -0.2
    for x in (0, 3, 6):
        shifted = batch.agent_pos[..., x : x + 2] + step[:, None]
        torch.testing.assert_close(changed.agent_pos[..., x : x + 2], shifted)
        assert torch.equal(changed.agent_pos[..., x + 2], batch.agent_pos[..., x + 2])
    cloud = batch.point_cloud[..., :2] + step[:, None, None]
    torch.testing.assert_close(changed.point_cloud[..., :2], cloud)
    assert torch.equal(changed.point_cloud[..., 2:], batch.point_cloud[..., 2:])
    torch.testing.assert_close(changed.action[..., :2], batch.action[..., :2] + step[:, None])
    assert torch.equal(changed.action[..., 2:], batch.action[..., 2:])
    displaced = Translation(max_m=0.3)(batch, scene, drawn())
    assert torch.equal(displaced.action, batch.action), "a displacement is the same anywhere"


def test_translation_of_clouds_alone_is_one_step_in_space(batch, scene):
    joints = dataclasses.replace(scene, vectors=None, task="adroit/door")
    changed = Translation(max_m=0.02, cloud_only=True)(batch, joints, drawn())
    step = changed.point_cloud[:, :1, :1, :3] - batch.point_cloud[:, :1, :1, :3]
    torch.testing.assert_close(changed.point_cloud[..., :3], batch.point_cloud[..., :3] + step)
    assert float(step.abs().amin(0).max()) < 0.01 < float(step.abs().amax(0).min()) <= 0.0201
    assert torch.equal(changed.agent_pos, batch.agent_pos)
    assert torch.equal(changed.action, batch.action)


def test_translation_of_joint_angles_is_refused_with_both_remedies(scene):
    joints = dataclasses.replace(scene, vectors=None, task="adroit/door")
    with pytest.raises(ConfigError, match=r"translation.state_positions.*cloud_only=true"):
        Translation().check(joints)
    Translation(cloud_only=True).check(joints)
    Translation(state_positions=[[0, 1, 2]]).check(joints)


def test_color_jitter_is_one_light_for_a_window(batch, scene):
    alike = batch.point_cloud.clone()
    alike[..., 3:] = alike[:, :1, :, 3:]
    changed = ColorJitter()(dataclasses.replace(batch, point_cloud=alike), scene, drawn())
    assert torch.equal(changed.point_cloud[..., :3], batch.point_cloud[..., :3])
    colors = changed.point_cloud[..., 3:]
    assert torch.equal(colors[:, 0], colors[:, 2])
    assert (float(colors.min()), float(colors.max())) == (0, 255)
    assert colors.std(dim=0).mean() > 5  # and another for another window


def test_color_jitter_has_the_stated_strengths(batch, scene):
    grey = batch.point_cloud.clone()
    grey[..., 3:] = 127.5
    at = dataclasses.replace(batch, point_cloud=grey)
    assert ColorJitter(brightness=0, contrast=0.9, tint=0)(at, scene, drawn()).point_cloud.equal(
        grey
    )
    gains = ColorJitter(tint=0)(at, scene, drawn()).point_cloud[:, 0, 0, 3:] / 127.5
    assert torch.equal(gains[:, 0], gains[:, 2])
    assert 0.8 <= float(gains.min()) < 0.85
    assert 1.15 < float(gains.max()) <= 1.2


def test_color_jitter_without_colors_is_refused(scene):
    with pytest.raises(ConfigError, match=r"policy.color=true"):
        ColorJitter().check(dataclasses.replace(scene, color=False))
