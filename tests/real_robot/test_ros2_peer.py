"""The simulated robot's process: what goes wrong around it ends it with an error, never a hang."""

from __future__ import annotations

import json
import sys

import pytest

from mfpolicy.errors import RunError
from oracles.ros_environments import ROOT, ros_environments
from real_robot.simulated import LoopPlace, ros_python
from real_robot.simulated.asking import Asked

WORLD = {
    "say": "world", "clock": "system", "color": False, "camera": {},
    "robot": {"action_kind": "tool_displacement", "gripper_column": -1, "joints": []},
}  # fmt: skip
SIMULATOR = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from mfpolicy.pipes import read_message, write_message
source, out = sys.stdin.buffer, sys.stdout.buffer
read_message(source)
write_message(out, {WORLD!r})
what = read_message(source)[0]["do"]
if what == "print":
    print("a library printed this", flush=True)
elif what == "end":
    sys.exit(7)
read_message(source)
"""


@pytest.fixture(scope="module")
def python():
    return ros_python("jazzy", ros_environments())


@pytest.fixture
def peer(python, tmp_path):
    place = LoopPlace(tmp_path)
    settings = {"simulator": [sys.executable, "-c", SIMULATOR], "world": {}, "camera": "depth"}
    words = [str(python), "-m", "real_robot.ros2.peer", json.dumps(settings)]
    asked = Asked(place, "robot", place.start("robot", words, answers=True))
    asked.wait("world", 60)
    yield asked
    asked.process.kill()
    asked.close()


@pytest.mark.ros
@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("print", "its mark and length"),
        ("end", "ended by itself, with 7"),
        (None, "JSONDecodeError"),
    ],
)
def test_a_robot_whose_world_or_caller_breaks_says_why_and_ends(peer, what, why):
    if what is None:
        peer.process.stdin.write("no request\n")
        peer.process.stdin.flush()
    else:
        peer.call("world", message={"do": what})
    with pytest.raises(RunError, match=why):
        peer.wait("nothing", 60)
    assert peer.process.wait(30) == 1
