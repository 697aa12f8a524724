"""A cell's record is read as it was written, and nothing else is taken for one."""

import dataclasses
import json

import pytest

from mfpolicy.benchmark import (
    CellRecord,
    Collected,
    CurvePoint,
    Evaluation,
    Outcome,
    Trained,
    read_records,
)
from mfpolicy.errors import RunError

OUTCOMES = tuple(Outcome(10000 + n, n % 2 == 0, n == 0, 200, 12.5 * n) for n in range(3))
LATENCY = {"p50": 2.0, "p95": 2.5, "p99": 3.0, "max": 4.0, "stages": {"network": 1.5}}
RECORD = CellRecord(
    task="metaworld/drawer-open",
    difficulty="easy",
    method="mp1",
    seed=1,
    demonstrations=10,
    overrides=("objective=mp1", "training.betas=[0.9,0.95]"),
    config={"training.steps": 30, "training.betas": [0.9, 0.95], "objective.name": "meanflow"},
    parameters={"encoder": 10, "network": 20},
    nfe=1,
    collected=Collected(10, 985, 11, None, (0, 1, 3)),
    training=Trained(30, 64, 2.5, 768.0, 0.25),
    evaluations={"last": Evaluation({}, 3.5, OUTCOMES, LATENCY)},
    curve=(CurvePoint(15, OUTCOMES[:1]), CurvePoint(30, OUTCOMES)),
    machine={"cpu": "some", "cores": 2},
    packages={"torch": "2.6"},
    commit=None,
    time="2026-11-27T17:00:00+00:00",
)


def test_a_record_is_read_as_it_was_saved(tmp_path):
    path = RECORD.save(tmp_path)
    assert path == tmp_path / "metaworld" / "drawer-open" / "mp1" / "d10-s1.json"
    assert CellRecord.load(path) == RECORD


def test_all_records_of_a_folder_are_read_in_order(tmp_path):
    other = dataclasses.replace(RECORD, task="adroit/pen", difficulty="adroit")
    for record in (RECORD, other):
        path = record.save(tmp_path)
    path.with_name(f".{path.name}.123.tmp").write_text("what a killed writer left")
    assert read_records(tmp_path) == [other, RECORD]


def test_an_episode_is_a_line_of_the_file(tmp_path):
    lines = RECORD.save(tmp_path).read_text().splitlines()
    assert sum('"seed": 10001' in line for line in lines) == 2  # of "last", and of the curve
    assert max(map(len, lines)) < 140


def _without(key):
    return lambda content: content.pop(key)


@pytest.mark.parametrize(
    "change",
    [
        _without("config"),
        lambda content: content.update(schema=2),
        lambda content: content.update(seed="one"),
        lambda content: content.update(extra=1),
        lambda content: content["evaluations"].pop("last"),
        lambda content: content["evaluations"]["last"].update(episodes=[]),
        lambda content: content["curve"][0].update(episodes=[]),
        lambda content: content["evaluations"]["last"]["episodes"][0].pop("success_any"),
        lambda content: content["evaluations"]["last"]["episodes"][0].update(success_any=1),
    ],
)
def test_what_is_no_record_is_refused_by_name(tmp_path, change):
    path = RECORD.save(tmp_path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match="d10-s1.json must be the record"):
        read_records(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 1', "null"])
def test_a_damaged_file_is_refused_by_name(tmp_path, content):
    path = RECORD.save(tmp_path)
    path.write_text(content)
    with pytest.raises(RunError, match="d10-s1.json must be the record"):
        CellRecord.load(path)


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(RunError, match="records must lie in a folder"):
        read_records(tmp_path / "nowhere")
