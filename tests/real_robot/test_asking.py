"""A process that is asked: whatever it says or fails to say, who asked gets an error in time."""

from __future__ import annotations

import sys
import time

import pytest

from mfpolicy.errors import RunError
from real_robot.simulated import LoopPlace
from real_robot.simulated.asking import Asked

ANSWERS = """
import json, sys
for line in sys.stdin:
    number = json.loads(line)["id"]
    print(json.dumps({"event": "began", "id": number}), flush=True)
    print(json.dumps({"reply": number}), flush=True)
"""
SAYS = """
import sys, time
sys.stdin.readline()
sys.stdout.buffer.write(%r)
sys.stdout.flush()
time.sleep(%r)
"""


@pytest.fixture
def asked(tmp_path):
    """Starts a program that is asked; it may go on after what it said."""
    opened = []

    def start(program: str) -> Asked:
        place = LoopPlace(tmp_path)
        process = place.start("told", [sys.executable, "-c", program], answers=True)
        opened.append(Asked(place, "told", process))
        return opened[-1]

    yield start
    for each in opened:
        each.process.kill()
        each.close()


def test_replies_and_events_come_apart(asked):
    told = asked(ANSWERS)
    assert told.call("first")["reply"] == 1
    assert told.call("second")["reply"] == 2
    assert told.wait("began", 10)["id"] == 1


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"Segmentation warning\n", "no message: 'Segmentation warning"),
        (b'{"reply": 1', "no message"),
        (b"[1, 2]\n", "no message"),
        (b'{"say": "hello"}\n', "no message"),
        (b'{"event": "failed"}\n', "no message"),
        (b"\xff\xfe\n", "no message"),
        (b'{"event": "failed", "why": "no world"}\n', "no world"),
        (b"", "its process ended"),
    ],
)
def test_nonsense_or_an_end_is_an_error_for_whoever_asks_and_asks_again(asked, said, why):
    goes_on = said.endswith(b"\n") and b"no world" not in said
    told = asked(SAYS % (said, 600 if goes_on else 0))
    begun_s = time.monotonic()
    for call in (lambda: told.call("hear"), lambda: told.wait("began", 60), told.forget):
        with pytest.raises(RunError) as error:
            call()
        assert why in str(error.value) or "Broken pipe" in str(error.value)
    with pytest.raises(RunError, match="must keep running"):
        told.call("hear")
    assert time.monotonic() - begun_s < 30, "not by waiting for its time to be over"
