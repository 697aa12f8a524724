"""Depth and color images that belong together, in whatever order they come."""

from __future__ import annotations

import pytest

from real_robot.causes import Refusals
from real_robot.core.pairing import DepthPairs

PERIOD_S = 1 / 30


def run(order: str, frames: int = 6, *, held_back: int = 0, period_s=PERIOD_S, after_s=0.005):
    """Depth d and color c of each frame in this order, color so many frames late."""
    refusals = Refusals()
    pairs = DepthPairs(refusals, has_color=True)
    pairs.info("info")
    found = []
    for frame in range(frames):
        for kind in order:
            if kind == "d":
                found.append(pairs.depth(frame, stamp_s=frame * period_s))
            elif frame >= held_back:
                late = frame - held_back
                found.append(pairs.color(late, stamp_s=late * period_s + after_s))
    return [(view.image, view.color) for view, _ in filter(None, found)], refusals.counts()


@pytest.mark.parametrize("order", ["dc", "cd"])
@pytest.mark.parametrize("held_back", [0, 1, 2])
@pytest.mark.parametrize("rate_hz", [30, 80])
@pytest.mark.parametrize("after_s", [0.0, 0.005])
def test_every_depth_image_finds_its_color_in_either_order(order, held_back, rate_hz, after_s):
    """Also where the one of the frame before is less than a picture's time away."""
    found, refused = run(order, held_back=held_back, period_s=1 / rate_hz, after_s=after_s)
    assert found == [(frame, frame) for frame in range(6 - held_back)]
    assert refused == {}


def test_depth_images_without_color_are_counted_with_what_was_met():
    assert run("d", 7) == ([], {"unpaired_depth": 3})
    refusals = Refusals()
    pairs = DepthPairs(refusals, has_color=True)
    assert pairs.depth("early", stamp_s=1.0) is None
    assert refusals.counts() == {"no_camera_info": 1}
    pairs.info("info")
    for stamp_s in (1.0, 1.1):
        pairs.depth(stamp_s, stamp_s=stamp_s)
    view, stamp_s = pairs.color("color", stamp_s=1.1)
    assert (view.image, stamp_s) == (1.1, 1.1)
    assert refusals.counts() == {"no_camera_info": 1, "unpaired_depth": 1}
    assert refusals.detail == "the nearest 100 ms apart"


def test_without_a_color_topic_depth_goes_alone():
    pairs = DepthPairs(Refusals(), has_color=False)
    pairs.info("info")
    view, stamp_s = pairs.depth("depth", stamp_s=2.0)
    assert (view.image, view.color, stamp_s) == ("depth", None, 2.0)
