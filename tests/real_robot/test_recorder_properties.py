"""Whatever comes, in whatever order: a recorder keeps whole, finite, even episodes only."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.demonstrated import Demonstrated, header
from oracles.robot_arm import PERIOD_S, wall
from real_robot.core.proprioception import JointMessage

NUMBERS = st.sampled_from([0.1, -0.3, 0.0, 1e9, float("nan"), float("inf")])
EVENTS = st.one_of(
    st.just(("sense",)),
    st.just(("cloud",)),
    st.tuples(st.just("joints"), NUMBERS),
    st.tuples(st.just("command"), NUMBERS),
    st.tuples(st.just("bad cloud")),
    st.tuples(st.just("bad command")),
    st.tuples(st.just("tick"), st.sampled_from([1.0, 1.0, 1.0, 0.2, 3.0, 40.0, -5.0])),
    st.tuples(st.sampled_from(["start", "stop", "discard"])),
)
USUAL = [("sense",), ("tick", 1.0)]


def _happen(mine: Demonstrated, what: str, value: float = 0.0) -> None:
    times = {"stamp_s": mine.now_s, "now_s": mine.now_s}
    if what == "joints":
        mine.recorder.on_joints(JointMessage(["a", "b"], [value, 0.0]), **times)
    elif what == "command":
        mine.command((value, 0.0))
    elif what == "bad cloud":
        mine.recorder.on_cloud(header(), frame_id="camera", **times)
    elif what == "bad command":
        mine.recorder.on_command(SimpleNamespace(data=[0.0]), now_s=mine.now_s)
    elif what == "tick":
        mine.tick(value * PERIOD_S)
    elif what in ("start", "stop"):
        getattr(mine.recorder, what)(mine.now_s)
    elif what == "discard":
        mine.recorder.discard()
    elif what == "cloud":
        mine.cloud(wall(32))
    else:
        mine.sense()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(EVENTS, st.sampled_from(USUAL)), max_size=40))
def test_what_is_kept_is_whole_finite_and_even(events):
    mine = Demonstrated()
    for event in [("sense",), ("start",), *USUAL * 2, *events, *USUAL * 3, ("stop",)]:
        _happen(mine, *event)
        assert mine.recorder.state in ("idle", "recording", "ended")
    for kept in mine.store.kept:
        assert len({len(each) for each in kept.values()}) == 1
        assert len(kept["action"]) > 0
        for values in kept.values():
            assert np.isfinite(values).all()
        apart_s = np.diff(kept["timestamp_ns"]) * 1e-9
        assert ((apart_s >= PERIOD_S / 2 - 1e-6) & (apart_s <= 1.5 * PERIOD_S + 1e-6)).all()
