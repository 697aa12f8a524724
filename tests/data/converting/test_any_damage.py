"""Bytes changed anywhere in a source: it is read, or refused in our words, and nothing else."""

import random

import pytest

from data.converting import test_point_files, test_robomimic
from data.converting.bags import KINDS, write_bag
from mfpolicy.config.convert import from_mapping
from mfpolicy.data.converting import FORMATS, Target
from mfpolicy.data.converting.ros import RosLayout
from mfpolicy.errors import UserError

TRIES, REACH = 15, 4096
STREAM = [{"topic": "/joint_states", "field": "position"}]
LAYOUT = {"rate_hz": 10.0, "cloud": {"topic": "/camera/points"}, "state": STREAM, "action": STREAM}


def _sources(folder):
    yield "robomimic", test_robomimic._write(folder / "a.hdf5"), None
    yield "folder", test_point_files._write(folder / "npz", ".npz"), None
    for kind in KINDS:
        path = folder / (f"{kind}.bag" if kind == "ros1" else kind)
        yield "ros", write_bag(path, kind, seconds=0.2), from_mapping(RosLayout, LAYOUT)


def _damaged(content, drawn):
    """One to four changes, often near the beginning or the end, where formats keep their order."""
    changed = bytearray(content)
    for _ in range(drawn.choice([1, 1, 4])):
        place = drawn.choice([
            drawn.randrange(len(changed)), min(drawn.randrange(REACH), len(changed) - 1),
            max(len(changed) - 1 - drawn.randrange(REACH), 0),
        ])  # fmt: skip
        changed[place : place + 4] = drawn.choice([b"\xff" * 4, bytes(4), b"", b"\x01"])
    return bytes(changed)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_damage_anywhere_is_refused_or_harmless(tmp_path):
    drawn, refused = random.Random(0), 0
    for name, source, layout in _sources(tmp_path):
        files = (
            [source] if source.is_file() else sorted(f for f in source.rglob("*") if f.is_file())
        )
        for _ in range(TRIES):
            file = drawn.choice(files)
            content = file.read_bytes()
            file.write_bytes(_damaged(content, drawn))
            try:
                opened = FORMATS.get(name)(source, Target(points=8, layout=layout))
                try:
                    opened.episode(0)
                finally:
                    opened.close()
            except UserError:
                refused += 1
            file.write_bytes(content)
    assert 10 < refused < TRIES * 5
