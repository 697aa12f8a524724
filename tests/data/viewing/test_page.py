"""The page in a real browser: what its pixels show, and what it never does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from data.viewing.chromium import running
from mfpolicy.data.store import DatasetSpec, DatasetWriter, Episode, open_dataset
from mfpolicy.data.viewing import page as page_module
from mfpolicy.data.viewing import viewed_episodes, write_page
from mfpolicy.errors import DataError
from mfpolicy.pointcloud import PointCloudRecipe

POINTS, STEPS = 400, 6
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
# Seen from +x: the world's y to the right, its z up.
RECIPE = PointCloudRecipe("top", (5.0, 0.0, 0.0), 32, (-1, -1, -1), (1, 1, 1), points=POINTS)
SPEC = DatasetSpec(
    task="toy/see", control_rate_hz=20.0, expert="scripted", recipe=RECIPE, camera=None,
    state_dim=2, action_dim=3, points=POINTS,
)  # fmt: skip
HOSTILE = "</script><script>hacked=1</script><img src=x onerror=hacked=1>"


def _episode(seed: int) -> Episode:
    """Red points on the left and blue ones on the right; green ones go up step by step."""
    rng = np.random.default_rng(seed)
    cloud = rng.uniform(-0.08, 0.08, (STEPS, POINTS, 3)).astype(np.float32)
    color = np.zeros((STEPS, POINTS, 3), np.uint8)
    third = POINTS // 3
    cloud[:, :third, 1] -= 0.8
    color[:, :third] = RED
    cloud[:, third : 2 * third, 1] += 0.8
    color[:, third : 2 * third] = BLUE
    cloud[:, 2 * third :, 2] += np.linspace(-0.8, 0.8, STEPS)[:, None]
    color[:, 2 * third :] = GREEN
    image = np.zeros((STEPS, 8, 8, 3), np.uint8)
    image[:] = (255, 255, 0)
    time = np.linspace(0, 1, STEPS)
    return Episode(
        point_cloud=cloud,
        agent_pos=np.stack([time, 1 - time], axis=1).astype(np.float32),
        action=np.stack([time, time * 0, -time], axis=1).astype(np.float32),
        seed=seed,
        success=True,
        color=color,
        extras={"image": image},
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("seen") / "toy.zarr"
    with DatasetWriter.open(path, SPEC) as writer:
        for seed in (7, 8):
            writer.append(_episode(seed))
    return open_dataset(path)


@pytest.fixture(scope="module")
def file(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "toy.html"
    return write_page(dataset, viewed_episodes(dataset, [0, 1]), out)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with running(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


def _centre(picture, color):
    """Mean column and row of the pixels of a color, as shares of the picture; None without any."""
    rows, columns = np.nonzero((picture == color).all(axis=2))
    if len(rows) < 30:
        return None
    return columns.mean() / picture.shape[1], rows.mean() / picture.shape[0]


def _mean_row(picture, color):
    return _centre(picture, color)[1]


def test_the_pixels_are_the_points_in_place_and_color(chromium, file):
    chromium.open(file)
    picture = chromium.look("scene")
    (red, _), (blue, _), (green, low) = (_centre(picture, c) for c in (RED, BLUE, GREEN))
    assert red < 0.4 < green < 0.6 < blue
    assert low > 0.6  # the green ones begin at the bottom
    assert chromium.evaluate("document.getElementById('where').textContent") == (
        "step 0 of 6 · 0.00 s · seed 7 · success"
    )
    image = chromium.look("image")
    assert np.abs(image[20:-20, 20:-20].astype(int).mean(axis=(0, 1)) - (255, 255, 0)).max() < 8
    assert chromium.faults() == []


def test_the_slider_moves_the_points_and_the_cursor(chromium, file):
    chromium.open(file)
    before, curve = chromium.look("scene"), chromium.look("state")
    left, top, right, bottom = chromium.box("step")
    chromium.drag((left + 3, (top + bottom) / 2), (right - 2, (top + bottom) / 2))
    after = chromium.look("scene")
    assert _mean_row(after, GREEN) < _mean_row(before, GREEN) - 0.2
    assert abs(_mean_row(after, RED) - _mean_row(before, RED)) < 0.05
    assert chromium.evaluate("viewer.step") == STEPS - 1
    assert (chromium.look("state") != curve).any()


def test_a_curve_can_be_pulled_to_a_step(chromium, file):
    chromium.open(file)
    left, top, right, bottom = chromium.box("action")
    chromium.drag((left + 5, top + 20), ((left + right) / 2, top + 20))
    assert chromium.evaluate("viewer.step") in (2, 3)


def test_dragging_turns_and_a_double_click_turns_back(chromium, file):
    chromium.open(file)
    before = chromium.look("scene")
    left, top, right, bottom = chromium.box("scene")
    middle = ((left + right) / 2, (top + bottom) / 2)
    half_turn = np.pi / 0.008
    chromium.drag((left + 10, middle[1]), (left + 10 + half_turn, middle[1]))
    turned = chromium.look("scene")
    assert _centre(turned, RED)[0] > 0.6 > 0.4 > _centre(turned, BLUE)[0]
    for kind in ("mousePressed", "mouseReleased"):
        chromium.mouse(kind, *middle, button="left", clickCount=2)
    assert (chromium.look("scene") == before).all()


def test_the_wheel_comes_closer(chromium, file):
    chromium.open(file)
    before = _centre(chromium.look("scene"), BLUE)[0]
    left, top, right, bottom = chromium.box("scene")
    chromium.mouse("mouseWheel", (left + right) / 2, (top + bottom) / 2, deltaX=0, deltaY=-200)
    chromium.evaluate("new Promise(requestAnimationFrame)")
    assert _centre(chromium.look("scene"), BLUE)[0] > before + 0.02


def test_play_goes_to_the_end_and_stops(chromium, file):
    chromium.open(file)
    chromium.evaluate("document.getElementById('play').click()")
    assert chromium.evaluate("document.getElementById('play').textContent") == "pause"
    chromium.evaluate(
        "new Promise((done) => { const look = () => viewer.playing ? setTimeout(look, 20)"
        " : done(); look(); })"
    )
    assert chromium.evaluate("viewer.step") == STEPS - 1


def test_another_episode_and_coloring_can_be_chosen(chromium, file):
    chromium.open(file, "#episode=1&step=3")
    assert "step 3 of 6 · 0.15 s · seed 8" in chromium.evaluate(
        "document.getElementById('where').textContent"
    )
    assert _centre(chromium.look("scene"), RED) is not None
    chromium.evaluate(
        "(() => { const choice = document.getElementById('color'); choice.value = 'height';"
        " choice.dispatchEvent(new Event('change')); })()"
    )
    picture = chromium.look("scene")
    assert [_centre(picture, color) for color in (RED, GREEN, BLUE)] == [None] * 3
    chromium.open(file, "#episode=1&step=3&color=height")
    assert (chromium.look("scene") == picture).all()
    packed = picture.astype(np.int64) @ (65536, 256, 1)
    assert len(np.unique(packed)) > 20
    assert chromium.faults() == []


def test_what_a_dataset_is_called_is_never_run(chromium, tmp_path):
    spec = dataclasses.replace(
        SPEC, task=HOSTILE, expert='"; hacked=1; //', recipe=None, control_rate_hz=None
    )
    path = tmp_path / HOSTILE.replace("/", "\u2044")
    with DatasetWriter.open(path, spec) as writer:
        writer.append(_episode(1))
    dataset = open_dataset(path)
    page = write_page(dataset, viewed_episodes(dataset, [0]), tmp_path / "hostile.html")
    assert "<img src=x" not in page.read_text()
    chromium.open(page)
    assert chromium.evaluate("typeof hacked") == "undefined"
    assert HOSTILE in chromium.evaluate("document.getElementById('about').textContent")
    assert chromium.evaluate("document.getElementById('name').textContent") == path.name
    assert chromium.faults() == []


def test_a_browser_runs_nothing_else_in_the_page(chromium, file, tmp_path):
    """The second lock: what got into the page all the same would not run."""
    broken = tmp_path / "broken.html"
    text = file.read_text().replace("<h1 id=", "<script>hacked = 1</script><h1 id=")
    broken.write_text(text.replace("<main>", "<img src='https://example.org/x.png'><main>"))
    chromium.open(broken)
    assert chromium.evaluate("typeof hacked") == "undefined"
    refused = [event for event in chromium.faults() if "Content Security Policy" in event]
    assert len(refused) == 2
    assert _centre(chromium.look("scene"), RED) is not None


def test_points_and_curves_may_have_holes(chromium, dataset, tmp_path):
    (episode,) = viewed_episodes(dataset, [0])
    cloud, state = episode.cloud.copy(), episode.state.copy()
    cloud[:, : POINTS // 3] = np.nan
    state[2:4, 0] = np.inf
    holes = dataclasses.replace(episode, cloud=cloud, state=state, color=None, image=None)
    chromium.open(write_page(dataset, [holes], tmp_path / "holes.html"))
    assert chromium.evaluate("viewer.scene.colors.length") == POINTS - POINTS // 3
    assert chromium.evaluate("document.getElementById('image').hidden") is True
    assert chromium.faults() == []


def test_coordinates_are_rounded_as_little_as_is_said(dataset):
    (episode,) = viewed_episodes(dataset, [0])
    grid, low, extent = page_module._rounded(episode.cloud)
    found = np.array(low) + grid / page_module._GRID * np.array(extent)
    assert np.abs(found - episode.cloud).max() <= 0.5001 * max(extent) / page_module._GRID


def test_a_page_that_is_too_large_is_refused_and_the_old_one_stays(dataset, file, monkeypatch):
    before = file.read_bytes()
    monkeypatch.setattr(page_module, "MAX_BYTES", 40_000)
    with pytest.raises(DataError, match="show fewer episodes"):
        write_page(dataset, viewed_episodes(dataset, [0]), file)
    assert file.read_bytes() == before
    assert [each.name for each in file.parent.iterdir()] == [file.name]
