"""Farthest-point sampling: both routes give one answer, and the order of points is no matter."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from mfpolicy.errors import ObservationError
from mfpolicy.pointcloud import sample


def scattered(count: int, *, channels: int = 0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3 + channels)).astype(np.float32)


def surface(count: int = 4000) -> np.ndarray:
    """Points on a sphere above a plate: the kind of cloud a depth camera gives."""
    generator = np.random.default_rng(3)
    sphere = generator.normal(size=(count // 2, 3))
    sphere /= 4 * np.linalg.norm(sphere, axis=1, keepdims=True)
    plate = generator.uniform(-1, 1, size=(count - len(sphere), 3)) * [1, 1, 0]
    return np.concatenate([sphere, plate]).astype(np.float32)


def covering_radius(points: np.ndarray, chosen: np.ndarray) -> float:
    """The largest distance of a point to the nearest chosen one."""
    distance = np.linalg.norm(points[:, None] - chosen[None], axis=-1)
    return float(distance.min(axis=1).max())


def naive(points: np.ndarray, count: int, start: int = 0) -> np.ndarray:
    """Farthest-point sampling from a given start, written down once more."""
    chosen = [start]
    distance = np.linalg.norm(points - points[start], axis=1)
    for _ in range(count - 1):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return points[chosen]


@pytest.mark.parametrize("points", [scattered(3000), surface()], ids=["scattered", "surface"])
@pytest.mark.parametrize("short", [1, 2, 100, 511])
def test_a_prefix_is_the_smaller_sample(points: np.ndarray, short: int) -> None:
    assert np.array_equal(sample(points, 512)[:short], sample(points, short))


def test_prefix_holds_across_the_repetition() -> None:
    points = scattered(300)
    assert np.array_equal(sample(points, 700)[:300], sample(points, 300))
    assert np.array_equal(sample(points, 700)[:40], sample(points, 40))


@pytest.mark.parametrize("count", [1, 17, 255, 256, 257, 3000])
def test_order_of_the_points_does_not_matter(count: int) -> None:
    points = scattered(count, seed=count)
    shuffled = points[np.random.default_rng(1).permutation(count)]
    wanted = max(1, count // 3)
    assert np.array_equal(sample(points, wanted), sample(shuffled, wanted))


@pytest.mark.parametrize("points", [scattered(2000), surface()], ids=["scattered", "surface"])
def test_with_and_without_fpsample_the_points_are_the_same(
    points: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = sample(points, 512)
    monkeypatch.setitem(sys.modules, "fpsample", None)
    assert np.array_equal(sample(points, 512), fast)


@pytest.mark.parametrize("points", [scattered(3000), surface()], ids=["scattered", "surface"])
def test_covers_as_well_as_the_textbook_algorithm(points: np.ndarray) -> None:
    ours, theirs = sample(points, 256), naive(points, 256)
    assert covering_radius(points, ours) == pytest.approx(covering_radius(points, theirs), rel=0.1)
    at_random = points[np.random.default_rng(0).choice(len(points), 256, replace=False)]
    assert covering_radius(points, ours) < 0.7 * covering_radius(points, at_random)


def test_each_point_is_the_farthest_from_those_before_it() -> None:
    points = surface(1500)
    chosen = sample(points, 64)
    first = int(np.flatnonzero((points == chosen[0]).all(axis=1))[0])
    assert np.array_equal(chosen, naive(points, 64, first))
    corner = 2 * points.min(axis=0) - points.max(axis=0)
    assert first == np.linalg.norm(points - corner, axis=1).argmax()


@pytest.mark.parametrize("available", [1, 2, 100, 300])
def test_a_small_cloud_is_repeated_cyclically(available: int) -> None:
    points = scattered(available)
    chosen = sample(points, 512)
    assert chosen.shape == (512, 3)
    assert np.array_equal(np.unique(chosen, axis=0), np.unique(points, axis=0))
    assert np.array_equal(chosen[available:], np.resize(chosen[:available], (512, 3))[available:])


def test_channels_follow_their_points_and_do_not_steer() -> None:
    points = scattered(1000, channels=3)
    chosen = sample(points, 200)
    assert np.array_equal(chosen[:, :3], sample(points[:, :3], 200))
    rows = {row.tobytes() for row in points}
    assert all(row.tobytes() in rows for row in chosen)


def test_coinciding_points_are_no_trap() -> None:
    assert sample(np.zeros((300, 3)), 300).shape == (300, 3)
    twice = np.repeat(scattered(200), 2, axis=0)
    assert len(np.unique(sample(twice, 200), axis=0)) == 200


@pytest.mark.parametrize(
    ("points", "count", "said"),
    [
        (np.empty((0, 3)), 8, "at least one point"),
        (np.zeros((4, 2)), 8, r"\(M, 3 or more\)"),
        (np.zeros(3), 8, r"\(M, 3 or more\)"),
        ([[0, 0, np.nan]], 8, "finite"),
        ([[0, 0, 0, np.inf]], 8, "finite"),
        (np.zeros((4, 3)), 0, "count must be at least 1"),
    ],
)
def test_unusable_clouds_are_refused(points: object, count: int, said: str) -> None:
    with pytest.raises(ObservationError, match=said):
        sample(points, count)
