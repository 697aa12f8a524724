"""How the expert of relocate is built: a law, a search for its numbers, a network of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from envs.experts.network import NetworkExpert
from envs.experts.training import imitating
from envs.experts.training.carrier import FINGERS, FIXED, MOVED, Carrier, Numbers
from envs.experts.training.episodes import run
from envs.experts.training.imitating import build_by_search
from envs.experts.training.recipes import SearchRecipe
from envs.experts.training.scene import Scene
from envs.experts.training.search import Search, SearchSettings

FIRST = Numbers.first()
SMALL = SearchRecipe(
    SearchSettings(iterations=2, candidates=3, elites=2, episodes=1),
    rounds=2,
    episodes=2,
    epochs=2,
    width=8,
    choose_episodes=2,
)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene("relocate")


def test_numbers_are_a_vector_and_back() -> None:
    vector = np.random.default_rng(0).uniform(0.3, 0.9, len(FIRST.vector()))
    np.testing.assert_allclose(Numbers.of(vector).vector(), vector)
    wild = Numbers.of(np.full(len(vector), -9.0))
    assert np.abs(wild.opened).max() == 1
    assert min(wild.reach, wild.sharpness, wild.firm, wild.speed, wild.gain) > 0


def test_a_search_finds_the_best_of_a_hill() -> None:
    top = np.linspace(-0.4, 0.4, 6)
    search = Search(np.zeros(6), SearchSettings(least_spread=1e-4))
    scores = [search.improve(lambda x: -float(np.square(x - top).sum())) for _ in range(60)]
    np.testing.assert_allclose(search.mean, top, atol=0.02)
    assert scores[-1] > scores[0]
    assert search.spread.max() < 0.03


def test_a_search_depends_on_its_iteration_alone() -> None:
    def score(x: np.ndarray) -> float:
        return float(x.sum())

    whole, resumed = (Search(np.zeros(3), SearchSettings()) for _ in range(2))
    for _ in range(2):
        whole.improve(score)
    resumed.improve(score)
    again = Search(resumed.mean, SearchSettings())
    again.spread, again.iteration = resumed.spread, 1
    again.improve(score)
    np.testing.assert_array_equal(again.mean, whole.mean)


def test_the_hand_opens_far_away_and_closes_at_the_ball(scene: Scene) -> None:
    carrier = Carrier(FIRST, scene.center, scene.scale)
    observation = np.zeros(39)
    for away, expected in ((0.3, FIRST.opened), (0.0, FIRST.closed)):
        observation[30:33] = FIRST.grip + [away, 0, 0]
        np.testing.assert_allclose(carrier.output(observation)[FINGERS], expected, atol=1e-3)
    wild = np.random.default_rng(0).normal(size=(50, 39)) * 5
    assert np.abs([carrier.output(row) for row in wild]).max() <= 1


def test_the_palm_comes_to_the_ball_wherever_it_lies(scene: Scene) -> None:
    carrier = Carrier(FIRST, scene.center, scene.scale)
    for seed in range(4):
        away_m = np.linalg.norm(run(scene, carrier, seed).observations[:, 30:33], axis=1)
        assert away_m.min() < away_m[0] / 3


def test_a_ball_that_is_held_is_carried_towards_the_target(scene: Scene) -> None:
    carrier = Carrier(FIRST, scene.center, scene.scale)
    observation = np.zeros(39)
    observation[8:30] = 0.9  # bent around the ball
    observation[30:33] = FIRST.grip
    still = carrier.output(observation)
    observation[36:39] = [-0.2, 0.0, -0.1]  # the ball is this far from the target
    moved = carrier.output(observation) - still
    assert moved[0] < -0.1  # the first slide moves the palm against its own axis
    assert moved[3] < -0.03  # a smaller tilt raises the hand
    assert moved[2] == pytest.approx(0, abs=1e-9)


def test_a_build_that_was_stopped_gives_the_expert_of_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scene, "horizon", property(lambda self: 6))
    lines: list[str] = []
    whole = build_by_search("relocate", SMALL, tmp_path / "whole", cpu_hours=1, report=lines.append)
    simulate, calls = run, 0
    resumed = None
    for stop_at in (4, 3, 6, 100):  # in the search, in both rounds, never
        calls = 0

        def stopped(*arguments: object, limit: int = stop_at, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls == limit:
                raise KeyboardInterrupt
            return simulate(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(imitating, "run", stopped)
        try:
            resumed = build_by_search(
                "relocate", SMALL, tmp_path / "stopped", cpu_hours=1, report=lines.append
            )
        except KeyboardInterrupt:
            continue
    assert resumed is not None
    with np.load(whole) as a, np.load(resumed) as b:
        assert set(a.files) == set(b.files)
        for name in set(a.files) - {"meta"}:
            np.testing.assert_array_equal(a[name], b[name])
    expert = NetworkExpert.load(resumed)
    assert expert.meta["task"] == "adroit/relocate"
    observations = np.random.default_rng(0).normal(size=(20, 39))
    outputs = np.array([expert.output(row) for row in observations])
    np.testing.assert_array_equal(np.ptp(outputs, axis=0)[FIXED], 0)
    assert (np.ptp(outputs, axis=0)[MOVED] > 0).all()
    assert any(line.startswith("search 2") for line in lines)
    assert any(line.startswith("round 2") for line in lines)


def test_a_build_without_time_to_imitate_says_so(tmp_path: Path) -> None:
    recipe = replace(SMALL, search=replace(SMALL.search, iterations=0))
    with pytest.raises(ValueError, match="cpu_hours must"):
        build_by_search("relocate", recipe, tmp_path, cpu_hours=-1, report=lambda line: None)
