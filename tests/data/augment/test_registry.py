"""What every registered augmentation must do: a new one is tested by existing."""

import dataclasses
import inspect

import pytest
import torch
import yaml

from mfpolicy.data import augment
from mfpolicy.data.augment import AUGMENTATIONS, Augmenter, build_augmenter
from mfpolicy.encoders import ObservationEncoder, PointNet
from mfpolicy.encoders.state import StateEncoder, StateOptions
from mfpolicy.errors import ConfigError
from mfpolicy.paths import config_dir

BLOCKS = yaml.safe_load((config_dir() / "train.yaml").read_text())["augment"]
FIELDS = ("point_cloud", "agent_pos", "action", "episode", "step")


@pytest.fixture(params=augment.names())
def augmenter(request, scene):
    """The augmentation alone, strong enough to change every window."""
    return Augmenter({request.param: AUGMENTATIONS.build(request.param)}, scene)


def seeded(seed: int):
    return lambda name: torch.Generator().manual_seed(seed)


def same(one, other) -> list[str]:
    return [name for name in FIELDS if torch.equal(getattr(one, name), getattr(other, name))]


def test_the_configuration_has_a_block_of_each_with_its_defaults():
    assert set(BLOCKS) == set(augment.names())
    for name, block in BLOCKS.items():
        options = {key: value.default for key, value in AUGMENTATIONS.options(name).items()}
        assert block == {"enabled": False, **options}


def test_a_seed_decides_what_changes_and_the_given_batch_stays(augmenter, batch):
    before = dataclasses.replace(batch, **{name: getattr(batch, name).clone() for name in FIELDS})
    once, again, other = (augmenter(batch, seeded(seed)) for seed in (1, 1, 2))
    assert same(once, again) == list(FIELDS)
    assert torch.equal(once.frame, again.frame)
    assert "point_cloud" not in same(once, other)
    assert "point_cloud" not in same(once, batch)
    assert same(batch, before) == list(FIELDS)
    assert {"episode", "step"} <= set(same(once, batch))


def test_shapes_types_and_numbers_are_sound(augmenter, batch):
    changed = augmenter(batch, seeded(1))
    for name in FIELDS:
        value, given = getattr(changed, name), getattr(batch, name)
        assert (value.shape, value.dtype) == (given.shape, given.dtype)
        assert value.isfinite().all()


def test_a_frame_that_a_window_repeats_stays_one_frame(augmenter, batch):
    """As an evaluation repeats the first picture before the second step."""
    changed = augmenter(batch, seeded(1))
    rows = (batch.frame[:, 0] == batch.frame[:, 1]).nonzero()[:, 0]
    assert len(rows) == 6  # steps 0 and 1 of three episodes
    for row in rows.tolist():
        assert torch.equal(changed.point_cloud[row, 0], changed.point_cloud[row, 1])
        assert torch.equal(changed.agent_pos[row, 0], changed.agent_pos[row, 1])
        assert changed.frame[row, 0] == changed.frame[row, 1]


def test_frames_of_two_windows_are_two_frames(augmenter, batch):
    """Or the encoder, which encodes a number once, would show one window another's noise."""
    changed = augmenter(batch, seeded(1))
    for number in changed.frame.unique().tolist():
        rows = (changed.frame == number).nonzero()[:, 0]
        assert len(rows.unique()) == 1
    torch.manual_seed(0)
    cloud = PointNet(point_dim=6, widths=(8,), output_dim=4).double()
    state = StateEncoder(StateOptions(4, 4), state_dim=9).double()
    encoder = ObservationEncoder(cloud, state, n_obs_steps=3)
    seen = changed.point_cloud.double(), changed.agent_pos.double()
    torch.testing.assert_close(encoder(*seen, changed.frame), encoder(*seen))


def test_windows_do_not_mix(augmenter, batch):
    other = batch.point_cloud.clone()
    other[1:] += 0.01
    one = augmenter(batch, seeded(1)).point_cloud[0]
    two = augmenter(dataclasses.replace(batch, point_cloud=other), seeded(1)).point_cloud[0]
    assert torch.equal(one, two)


def test_frames_without_numbers_are_changed_too(augmenter, batch):
    changed = augmenter(dataclasses.replace(batch, frame=None), seeded(1))
    assert changed.frame is None
    assert "point_cloud" not in same(changed, batch)


@pytest.mark.parametrize("name", augment.names())
def test_what_one_draws_does_not_depend_on_the_others(name, batch, scene):
    """Each has a generator of its own, by its name."""
    asked = []

    def generator_of(name: str) -> torch.Generator:
        asked.append(name)
        return torch.Generator().manual_seed(len(name))

    everything = {each: {**BLOCKS[each], "enabled": True} for each in BLOCKS}
    build_augmenter(everything, scene)(batch, generator_of)
    assert asked == list(BLOCKS)
    only = {each: {**BLOCKS[each], "enabled": each == name} for each in BLOCKS}
    assert list(build_augmenter(only, scene).augmentations) == [name]


def test_none_is_built_where_none_is_enabled(scene):
    assert build_augmenter(BLOCKS, scene) is None
    assert build_augmenter({}, scene) is None


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("jitter", {"std_m": -0.1}, r"augment.jitter.std_m must be in \[0, 1\]"),
        ("jitter", {"std": 0.1}, "did you mean 'std_m'"),
        ("jiter", {}, "did you mean 'jitter'"),
        ("dropout", {"max_share": 1.0}, r"must lie in \[0, 1\)"),
        ("crop_box", {"min_side": 0.0}, r"min_side must lie in \(0, 1\]"),
        ("crop_box", {"min_points": 1.5}, r"min_points must lie in \(0, 1\]"),
        ("color_jitter", {"tint": 1.0}, r"tint must lie in \[0, 1\)"),
        ("color_jitter", {"contrast": "much"}, "must be a number"),
        ("rotation", {"max_deg": 181.0}, "max_deg must be in"),
        ("rotation", {"state_positions": [0, 1, 2]}, r"must be a list of \[x, y, z\]"),
        ("rotation", {"state_positions": [[0, 1]]}, r"must be a list of \[x, y, z\]"),
        ("rotation", {"state_positions": [[0, 1, 2], [2, 3, 4]]}, "named once"),
        ("rotation", {"action_positions": [[2, 3, 4]]}, "must name places from 0 to 3"),
        ("translation", {"max_m": -0.1}, r"augment.translation.max_m must be in \[0, 10\]"),
        ("translation", {"state_positions": [[0, 1]]}, r"must be a list of \[x, y, z\]"),
        ("translation", {"state_positions": [[7, 8, 9]]}, "must name places from 0 to 8"),
        ("translation", {"cloud_only": True, "state_positions": [[0, 1, 2]]}, "leave out one of"),
        ("rotation", {"cloud_only": True, "state_positions": [[0, 1, 2]]}, "leave out one of"),
    ],
)
def test_options_that_cannot_be_are_refused(name, options, message, scene):
    with pytest.raises(ConfigError, match=message):
        build_augmenter({name: {"enabled": True, **options}}, scene)


def test_every_augmentation_documents_its_options():
    for name in augment.names():
        said = inspect.getdoc(AUGMENTATIONS.get(name))
        assert [option for option in AUGMENTATIONS.options(name) if option not in said] == []
