"""A benchmark runs what has no record yet, and its records are all that it needs to go on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import mfpolicy.benchmark.run as running
from benchmark.small_grid import TASKS, collect, evaluate, small, told
from mfpolicy.benchmark import read_records
from mfpolicy.benchmark.run import run_benchmark
from mfpolicy.errors import RunError
from oracles.demonstrations import write_dataset


def _never(*_: object, **__: object):
    raise AssertionError("nothing was to be done")


def _run(benchmark, *, collect=collect, evaluate=evaluate):
    return run_benchmark(benchmark, collect=collect, evaluate=evaluate)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished benchmark with two points of each learning curve, and what was collected."""
    out = tmp_path_factory.mktemp("finished") / "grid"
    made = []

    def counted(task, path, episodes):
        made.append((task, path.name))
        collect(task, path, episodes)

    result = _run(small(out, "curve=2"), collect=counted)
    assert {record.state for record in result.records} == {"finished"}, result.records
    return out, made


def test_every_cell_leaves_a_record_of_what_was_done(finished):
    out, made = finished
    assert sorted(made) == [(task, f"{task.partition('/')[2]}-d2.zarr") for task in TASKS]
    record, other = read_records(out / "records")
    assert (record.task, other.task, record.method) == (*TASKS, "mip")
    assert (record.seed, record.demonstrations, record.nfe, record.difficulty) == (0, 2, 2, "easy")
    assert record.overrides[:2] == ("policy=mp1_mixer", "objective=mip")
    assert record.config["training.steps"] == record.training.steps == 6
    assert record.config["objective.t_star"] == 0.9
    assert not {"out", "data", "device", "logging.wandb"} & record.config.keys()
    assert record.collected.seeds == (0, 1)
    assert (record.collected.episodes, record.collected.attempts) == (2, 2)
    assert record.collected.seconds is not None
    assert min(record.parameters["encoder"], record.parameters["network"]) > 0
    last = record.evaluations["last"]
    assert [each.seed for each in last.episodes] == [10000, 10001, 10002]
    assert last.latency_ms["stages"].keys() == {"points", "copy", "encoder", "network"}
    assert record.training.seconds > 0
    metrics = (out / record.task / "mip" / "d2-s0" / "metrics.jsonl").read_text().splitlines()
    assert record.training.loss == json.loads(metrics[-1])["loss"]


def test_the_curve_follows_the_training(finished):
    out, _ = finished
    for record in read_records(out / "records"):
        assert [point.step for point in record.curve] == [3, 6]
        assert {len(point.episodes) for point in record.curve} == {20}
        early, late = record.curve
        assert late.episodes[:3] == record.evaluations["last"].episodes
        assert early.episodes != late.episodes


def test_records_alone_are_enough_to_go_on(finished, tmp_path):
    out, _ = finished
    shutil.copytree(out / "records", tmp_path / "records")
    moved = small(tmp_path / "other", f"records={tmp_path / 'records'}", "curve=2")
    result = _run(moved, collect=_never, evaluate=_never)
    assert {record.state for record in result.records} == {"finished"}
    first = read_records(tmp_path / "records")[0].evaluations["last"].episodes
    rates = {record.name: record.success_any for record in result.records}
    shown = rates[f"{TASKS[0]}/mip/d2-s0"]
    assert shown == sum(each.success_any for each in first) / 3
    assert not list((tmp_path / "other").glob("*.zarr"))


def test_a_lost_record_is_made_again_from_what_is_there(finished, tmp_path, monkeypatch):
    """Other sources by now: the record still tells of those that trained."""
    monkeypatch.setattr(running, "source_commit", lambda: "of today")
    out = shutil.copytree(finished[0], tmp_path / "grid")
    before = read_records(out / "records")
    lost = next((out / "records").rglob("*.json"))
    lost.unlink()
    _run(small(out, "curve=2"), collect=_never)
    assert [told(record) for record in read_records(out / "records")] == [
        told(record) for record in before
    ]


@pytest.mark.parametrize(
    ("words", "difference"),
    [
        (("training.steps=7", "curve=3"), "training.snapshots: 2 -> 3; training.steps: 6 -> 7"),
        (("episodes=4",), "episodes: 3 from seed 10000 -> 4 from 10000"),
    ],
)
def test_a_record_of_other_settings_is_refused_with_both_values(finished, words, difference):
    with pytest.raises(RunError, match=difference):
        _run(small(finished[0], *words), collect=_never, evaluate=_never)


def test_a_run_folder_of_other_settings_is_told_before_anything_runs(finished, tmp_path):
    shutil.copytree(finished[0] / TASKS[0], tmp_path / TASKS[0])
    words = ("training.steps=7", f"data={finished[0]}/data/{{suite}}/{{task}}-d2.zarr")
    with pytest.raises(RunError, match="training.steps: 6 -> 7"):
        _run(small(tmp_path, *words), collect=_never, evaluate=_never)


def test_paths_and_devices_and_asking_for_no_curve_make_no_difference(finished, tmp_path):
    same = small(
        tmp_path / "elsewhere",
        f"records={finished[0] / 'records'}",
        "device=cpu",
        "logging.wandb=offline",
        "launcher=together",
    )
    _run(same, collect=_never, evaluate=_never)


def _edited(out: Path, tmp_path: Path, change) -> Path:
    """A copy of the records, each of them changed."""
    records = shutil.copytree(out / "records", tmp_path / "records")
    for path in records.rglob("*.json"):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
    return records


def test_a_damaged_record_is_named_before_anything_runs(finished, tmp_path):
    records = _edited(finished[0], tmp_path, lambda c: c.pop("config"))
    with pytest.raises(RunError, match="d2-s0.json must be the record"):
        _run(small(tmp_path / "a", f"records={records}"), collect=_never, evaluate=_never)


def test_a_cell_that_fails_stops_no_other_and_says_why(tmp_path):
    write_dataset(tmp_path / "data" / "drawer-open-d2.zarr", task="metaworld/door-open", episodes=2)
    benchmark = small(
        tmp_path / "grid",
        f"data={tmp_path}/data/{{task}}-d{{demonstrations}}.zarr",
    )
    result = _run(benchmark)
    states = {record.name.split("/")[1]: record for record in result.records}
    assert (states["drawer-open"].state, states["reach"].state) == ("failed", "finished")
    assert "demonstrations must be of metaworld/drawer-open" in states["drawer-open"].reason
    assert [record.task for record in read_records(benchmark.records)] == ["metaworld/reach"]


def test_demonstrations_from_another_seed_or_too_many_are_no_ones(tmp_path):
    def too_many(task, path, episodes):
        raise RunError("more than asked for")  # as the collection itself refuses

    write_dataset(tmp_path / "drawer-open-d2.zarr", episodes=3)
    words = (f"data={tmp_path}/{{task}}-d{{demonstrations}}.zarr", f"tasks={TASKS[0]}")
    result = _run(small(tmp_path / "grid", *words), collect=too_many)
    assert {record.reason for record in result.records} == {"more than asked for."}


def test_trained_together_the_records_are_the_same(finished, tmp_path):
    benchmark = small(tmp_path / "grid", "launcher=together", "launcher.workers=2")
    result = _run(benchmark)
    assert {record.state for record in result.records} == {"finished"}, result.records
    together, alone = read_records(benchmark.records), read_records(finished[0] / "records")
    for one, other in zip(together, alone, strict=True):
        assert one.evaluations["last"].episodes == other.evaluations["last"].episodes
        assert one.training.loss == other.training.loss
