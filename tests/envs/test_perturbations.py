"""Every perturbation changes what it says and nothing else, the same for every seed."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

import envs
from envs.perturbations import PERTURBATIONS, ObjectRange, build, names
from mfpolicy.errors import ConfigError
from mfpolicy.paths import config_dir

TASK = "metaworld/push"
SEED, POINTS = 10_003, 1024
CM = {"distance_cm": 5.0}
ACTIONS = np.random.default_rng(0).uniform(-1, 1, (3, 4)).astype(np.float32)
SEEN_ALONE = [name for name in names() if name != "object_range"]


def at_rest(name: str) -> dict:
    """The perturbation at the number that changes nothing."""
    number = PERTURBATIONS.get(name).number
    return {"name": name, number: 1 if number == "factor" else 0}


@functools.cache
def made(name: str, **options):
    return envs.make(TASK, points=POINTS, image_size=64, perturbation={"name": name, **options})


@pytest.fixture(scope="module", autouse=True)
def closed_in_the_end():
    yield
    for name in ("none", "object_range"):
        made(name).close()
    made.cache_clear()


def opened(name: str = "none", **options):
    """An environment that is perturbed so; what is seen of it alone needs no other simulator."""
    if name == "object_range":
        return made(name, **options)
    env = made("none")
    env._perturbation = build({"name": name, **options})
    env._cloud_camera._disturbance = env._perturbation
    env._cloud_camera.move(np.zeros(3), believed=False)  # whatever the last one did
    return env


def clouds(env, *, looking_at=(0, 1, 2, 3), seed=SEED) -> dict[int, np.ndarray]:
    """What is seen at some steps of an episode, with the full state after it."""
    seen = {0: env.reset(seed=seed)[0]["point_cloud"]}
    for step, action in enumerate(ACTIONS, start=1):
        env.simulate(action)
        if step in looking_at:
            seen[step] = env.observe()["point_cloud"]
    return seen


def nearest_m(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(P,) distance of each point to the nearest of the others, metres."""
    return np.linalg.norm(points[:, None] - others[None], axis=2).min(axis=1)


def test_every_perturbation_has_a_file_with_its_defaults():
    files = {path.stem: path for path in (config_dir() / "perturbation").glob("*.yaml")}
    assert files.keys() == {"none", *names()}
    for name in names():
        assert yaml.safe_load(files[name].read_text()) == PERTURBATIONS.build(name).to_dict()


@pytest.mark.parametrize("name", names())
def test_by_default_something_is_changed_and_without_its_number_nothing_is(name):
    kind = PERTURBATIONS.get(name)
    assert kind.name == name
    assert not PERTURBATIONS.build(name).off
    assert build(at_rest(name)) is None
    numbers = [v for v in PERTURBATIONS.build(name).to_dict().values() if isinstance(v, float)]
    assert numbers == [getattr(PERTURBATIONS.build(name), kind.number)]  # a report finds it so


def test_an_environment_says_what_it_changes_and_shows_it():
    assert opened().perturbation is None
    assert opened("object_range").perturbation == {"name": "object_range", "factor": 1.5}
    env = envs.make(
        "metaworld/reach", points=64, image_size=32, perturbation={"name": "camera_view"}
    )
    assert env.perturbation == {"name": "camera_view", "distance_cm": 3.0}
    places = []
    for seed in (1, 2):
        env.reset(seed=seed)
        places.append(np.array(env.camera["T_world_cam"])[:3, 3])
    for each in places:
        assert np.linalg.norm(each - env.recipe.camera_position) == pytest.approx(0.03)
    assert not np.allclose(*places)
    env.close()


@pytest.mark.parametrize("name", names())
def test_hooks_at_rest_leave_every_cloud_bit_for_bit(name):
    options = at_rest(name)
    plain, env = clouds(opened()), opened()
    perturbation = PERTURBATIONS.build(options.pop("name"), **options)
    env._perturbation = env._cloud_camera._disturbance = perturbation
    at_rest_too = clouds(env)
    for step, cloud in plain.items():
        np.testing.assert_array_equal(at_rest_too[step], cloud)


@pytest.mark.parametrize("name", names())
def test_a_seed_is_shown_the_same_however_often_it_is_looked_at(name):
    env = opened(name)
    seldom = clouds(env, looking_at=(3,))
    often = clouds(env)
    env.observe()
    np.testing.assert_array_equal(often[3], env.observe()["point_cloud"])
    for step, cloud in seldom.items():
        np.testing.assert_array_equal(often[step], cloud)
    assert not np.array_equal(clouds(env, looking_at=(), seed=SEED + 1)[0], seldom[0])


@pytest.mark.parametrize("name", SEEN_ALONE)
def test_what_is_seen_is_changed_and_what_happens_is_not(name):
    one, first = clouds(opened()), opened().observe_full()
    other, second = clouds(opened(name)), opened(name).observe_full()
    assert all(not np.array_equal(one[step], other[step]) for step in one)
    np.testing.assert_array_equal(first["full_state"], second["full_state"])
    np.testing.assert_array_equal(first["agent_pos"], second["agent_pos"])


def test_noise_on_the_finished_cloud_has_its_standard_deviation_and_leaves_colors():
    plain, env = clouds(opened())[2], opened("cloud_noise", std_m=0.02)
    moved = clouds(env)[2] - plain
    assert moved.std() == pytest.approx(0.02, rel=0.05)
    assert abs(moved.mean()) < 0.002
    cloud = np.full((8, 6), 100, np.float32)
    np.testing.assert_array_equal(env._perturbation.sampled(cloud)[:, 3:], cloud[:, 3:])


def test_noise_of_the_sensor_comes_before_the_crop():
    cloud = clouds(opened("cloud_noise", std_m=0.02, stage="sensor"))[2]
    low, high = opened().recipe.crop_min, opened().recipe.crop_max
    assert ((cloud > low) & (cloud < high)).all()
    assert np.median(nearest_m(cloud, clouds(opened())[2])) > 0.01


def test_a_hole_is_round_of_the_share_that_was_asked_for_and_stays_where_it_is():
    holes = PERTURBATIONS.build("missing_points", fraction=0.4)
    points = np.random.default_rng(2).normal(size=(500, 3)).astype(np.float32)
    inside = points[:, 2] > 0
    holes.begin(SEED)
    hidden = inside & ~holes.kept(points, inside)
    assert hidden.sum() == round(0.4 * inside.sum())
    middle = holes._middle
    distance = np.linalg.norm(points - middle, axis=1)
    assert distance[hidden].max() < distance[inside & ~hidden].min()
    holes.at(7)
    np.testing.assert_array_equal(holes.kept(points, inside), inside & ~hidden)
    holes.begin(SEED + 1)
    holes.kept(points, inside)
    assert not np.array_equal(holes._middle, middle)


def test_scattered_points_are_others_at_every_step():
    holes = PERTURBATIONS.build("missing_points", fraction=0.4, pattern="scattered")
    inside = np.ones(500, bool)
    points = np.zeros((500, 3), np.float32)
    holes.begin(SEED)
    first = holes.kept(points, inside)
    assert first.sum() == 300
    holes.at(1)
    assert not np.array_equal(holes.kept(points, inside), first)


def test_one_point_is_left_of_few_and_none_is_made_of_none():
    for pattern in ("region", "scattered"):
        holes = PERTURBATIONS.build("missing_points", fraction=0.99, pattern=pattern)
        holes.begin(0)
        points = np.zeros((3, 3), np.float32)
        assert holes.kept(points, np.array([True, False, True])).sum() == 1
        assert not holes.kept(points, np.zeros(3, bool)).any()


def test_a_bumped_camera_displaces_all_points_and_one_that_is_known_none():
    """Both stand at the same place, and see the same surfaces from there.

    By less than the margin between the crop box and the walls, which would come into it.
    """
    seen, offsets_m, places = [], [], []
    by = {"distance_cm": 2.0}
    for name, options in (("none", {}), ("camera_shift", by), ("camera_view", by)):
        env = opened(name, **options)
        seen.append(clouds(env)[2])
        places.append(np.array(env.camera["T_world_cam"])[:3, 3])
        offsets_m.append(env._perturbation.camera_offset_m() if options else np.zeros(3))
    cloud, displaced, other = seen
    offset_m = offsets_m[1]
    assert np.linalg.norm(offset_m) == pytest.approx(0.02)
    np.testing.assert_allclose(np.array(places) - places[0], offsets_m, atol=1e-9)
    assert np.median(nearest_m(other, cloud)) < 0.01
    assert np.median(nearest_m(displaced + offset_m, cloud)) < 0.015
    assert np.median(nearest_m(displaced, cloud)) > 1.5 * np.median(nearest_m(other, cloud))


@pytest.mark.parametrize("task", ["metaworld/push", *(f"adroit/{t}" for t in ("door", "relocate"))])
def test_a_wider_range_moves_placements_away_from_the_middle_and_keeps_heights(task):
    def drawn(factor: float) -> np.ndarray:
        """(seeds, 3, n) where the bodies and sites are at the start."""
        simulation = envs.open_simulation(task)
        if factor != 1:
            simulation.widen(factor)
        places = []
        for seed in range(4):
            simulation.reset(seed)
            data = simulation.data
            places.append(np.concatenate([data.xpos, data.site_xpos]).copy())
        simulation.close()
        return np.array(places)

    plain, wide, wider = (drawn(factor) for factor in (1, 1.5, 2))
    np.testing.assert_allclose(wide - plain, (wider - plain) / 2, atol=2e-3)
    moved = np.abs(wide - plain).max(axis=(0, 1))  # (3,)
    assert (moved[:2] > 0.01).all()
    assert moved[2] < 1e-3 if task != "adroit/relocate" else moved[2] > 0.01  # its target hangs
    spread = [np.ptp(places[..., :2], axis=0).max() for places in (plain, wide)]
    assert spread[1] == pytest.approx(1.5 * spread[0], rel=0.02)


@pytest.mark.parametrize(("task", "what"), [("hammer", "board"), ("pen", "angles")])
def test_adroit_boards_hang_and_pens_lie_farther_from_the_middle(task, what):
    from gymnasium_robotics.utils.rotations import quat2euler

    def drawn(simulation, seed):
        simulation.reset(seed)
        body = simulation._env
        if what == "board":
            return simulation.model.body_pos[body.target_body_id].copy()
        return quat2euler(simulation.model.body_quat[body.target_obj_body_id])

    plain, wide = envs.open_simulation(f"adroit/{task}"), envs.open_simulation(f"adroit/{task}")
    wide.widen(1.5)
    middle = 0.175 if what == "board" else 0.0
    for seed in range(3):
        before, after = drawn(plain, seed), drawn(wide, seed)
        free = slice(2, 3) if what == "board" else slice(0, 2)
        np.testing.assert_allclose(after[free] - middle, 1.5 * (before[free] - middle), atol=1e-9)
        fixed = np.delete(np.arange(3), free)
        np.testing.assert_allclose(after[fixed], before[fixed], atol=1e-9)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("cloud_noise", "std_m", -0.001),
        ("cloud_noise", "stage", "image"),
        ("missing_points", "fraction", 1.0),
        ("missing_points", "pattern", "hole"),
        ("camera_shift", "distance_cm", -1),
        ("camera_view", "distance_cm", 101),
        ("object_range", "factor", 0.5),
        ("object_range", "factor", "wide"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_name(name, option, value):
    with pytest.raises(ConfigError, match=option):
        envs.make(TASK, perturbation={"name": name, option: value})


@pytest.mark.parametrize("options", [{"name": "camera_shft"}, {"name": "camera_shift", "cm": 3}])
def test_an_unknown_name_or_option_is_refused_with_the_nearest(options):
    with pytest.raises(ConfigError, match="camera_shift|distance_cm"):
        build(options)


def test_a_task_whose_range_cannot_be_widened_is_refused():
    with pytest.raises(ConfigError, match="ranges can be widened"):
        ObjectRange().prepare(SimpleNamespace())  # type: ignore[arg-type]
    simulation = envs.open_simulation("metaworld/reach")
    own = simulation._own_ranges
    simulation._own_ranges = type(own)(own.low, own.low, dtype=own.dtype)
    with pytest.raises(ConfigError, match="draw the places"):
        simulation.widen(1.5)
    simulation.close()
