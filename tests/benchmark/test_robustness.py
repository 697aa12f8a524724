"""Finished cells under perturbations: added to their records, by their own policy alone."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from pathlib import Path

import pytest
import yaml

import benchmark.small_grid as small_grid
import mfpolicy.config.benchmarking as benchmarking
import mfpolicy.training
from benchmark.small_grid import TASKS, small
from mfpolicy.benchmark import read_records
from mfpolicy.benchmark.run import run_benchmark
from mfpolicy.cli.benchmarks.run import checked_levels
from mfpolicy.config import compose
from mfpolicy.config.levels import compose_levels, robustness_names
from mfpolicy.errors import ConfigError, RunError

NEAR, FAR = "camera_shift_10cm", "camera_shift_90cm"
LEVELS = {
    NEAR: {"name": "camera_shift", "distance_cm": 10.0},
    FAR: {"name": "camera_shift", "distance_cm": 90.0},
}


def _never(*_: object, **__: object):
    raise AssertionError("nothing was to be done")


@pytest.fixture
def lists(monkeypatch, tmp_path):
    """Where lists of perturbations are looked for; the rest of configs/ is as it is."""
    (tmp_path / "robustness").mkdir()
    monkeypatch.setattr(benchmarking, "config_dir", lambda: tmp_path)
    return tmp_path / "robustness"


def _write(folder: Path, name: str, levels: object) -> None:
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({"what": "levels", "levels": levels}))


@pytest.fixture(scope="module")
def composed():
    return small(Path("elsewhere"))


def within(composed, out, *, levels=None, cells=2, episodes=None, launcher=None):
    """The benchmark in a folder, without composing it anew."""
    config = composed.config
    return dataclasses.replace(
        composed,
        config=dataclasses.replace(
            config,
            out=str(out),
            robustness_episodes=episodes,
            launcher=launcher or config.launcher,
        ),
        cells=tuple(
            dataclasses.replace(
                cell, config=dataclasses.replace(cell.config, data=str(out / f"{number}.zarr"))
            )
            for number, cell in enumerate(composed.cells[:cells])
        ),
        levels=levels or {},
    )


@pytest.fixture(scope="module")
def finished(composed, tmp_path_factory):
    """A benchmark of two cells, finished without perturbations; its demonstrations are gone."""
    out = tmp_path_factory.mktemp("finished") / "grid"
    run_benchmark(within(composed, out), collect=small_grid.collect, evaluate=small_grid.evaluate)
    for data in out.glob("*.zarr"):
        shutil.rmtree(data)
    return out


@pytest.fixture
def out(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "grid")


@pytest.fixture
def run(composed, out):
    """Goes on; nothing may be collected. Returns the first cell's outcome."""

    def go_on(evaluate=small_grid.evaluate, **asked):
        benchmark = within(composed, out, **asked)
        return run_benchmark(benchmark, collect=_never, evaluate=evaluate).records[0]

    return go_on


@pytest.fixture
def trained_already(monkeypatch):
    monkeypatch.setattr(mfpolicy.training, "train", _never)


@pytest.mark.usefixtures("trained_already")
@pytest.mark.parametrize("launcher", [{"name": "serial"}, {"name": "together", "workers": 2}])
def test_levels_are_added_to_records_and_nothing_else_is_done(run, out, launcher):
    before = read_records(out / "records")
    assert run(levels=LEVELS, launcher=launcher).state == "finished"
    for old, record in zip(before, read_records(out / "records"), strict=True):
        assert list(record.evaluations) == ["last", *LEVELS]
        far = record.evaluations[FAR]
        assert far.perturbation == LEVELS[FAR]
        assert [each.seed for each in far.episodes] == [10000, 10001, 10002]
        assert far.episodes != record.evaluations["last"].episodes
        last = {"last": record.evaluations["last"]}
        assert dataclasses.replace(record, evaluations=last) == old
    shutil.rmtree(out / TASKS[0])
    assert run(_never, levels=LEVELS).state == "finished"
    assert run(_never).state == "finished"


@pytest.mark.usefixtures("trained_already")
def test_what_was_interrupted_goes_on_with_the_levels_that_are_missing(run, out):
    asked = []

    def evaluate(*args, breaks=False):
        asked.append(args[4] if len(args) > 4 else "benchmark")
        if breaks and asked[-1] == f"robustness-{FAR}":
            raise OSError("the power went")
        return small_grid.evaluate(*args)

    breaking = functools.partial(evaluate, breaks=True)
    assert run(breaking, levels=LEVELS, cells=1, episodes=2).state == "failed"
    assert run(_never, cells=1).state == "finished"  # without them nothing is missing
    assert list(read_records(out / "records")[0].evaluations) == ["last", NEAR]
    asked.clear()
    assert run(evaluate, levels=LEVELS, cells=1, episodes=2).state == "finished"
    assert asked == ["benchmark", f"robustness-{FAR}"]
    assert run(evaluate, levels=LEVELS, cells=1).state == "finished"  # one episode more of each
    record = read_records(out / "records")[0]
    assert {len(each.episodes) for each in record.evaluations.values()} == {3}
    assert run(_never, levels=LEVELS, cells=1, episodes=2).state == "finished"


@pytest.mark.usefixtures("trained_already")
def test_without_its_run_folder_a_record_stays_as_it_is(run, out):
    shutil.rmtree(out / TASKS[0])
    before = read_records(out / "records")
    failed = run(_never, levels=LEVELS, cells=1)
    assert failed.state == "failed"
    assert "must have its run folder" in str(failed.reason)
    assert read_records(out / "records") == before


@pytest.mark.usefixtures("trained_already")
def test_another_policy_adds_nothing_to_a_record(run, out):
    path = next((out / "records" / TASKS[0]).rglob("*.json"))
    content = json.loads(path.read_text())
    episode = content["evaluations"]["last"]["episodes"][1]
    episode["success_any"] = not episode["success_any"]
    path.write_text(json.dumps(content))
    failed = run(levels=LEVELS, cells=1)
    assert failed.state == "failed"
    assert "1 of 3 episodes ended otherwise, of seed 10001 first" in str(failed.reason)
    assert list(read_records(out / "records")[0].evaluations) == ["last"]


def test_a_level_of_another_perturbation_is_refused_before_anything_runs(run):
    assert run(levels={NEAR: LEVELS[NEAR]}, cells=1).state == "finished"
    with pytest.raises(RunError, match=rf"perturbation of {NEAR}: .*10.* -> .*90"):
        run(_never, levels={NEAR: LEVELS[FAR]}, cells=1)


def test_a_new_cell_is_trained_and_then_evaluated_under_every_level(composed, tmp_path):
    benchmark = within(composed, tmp_path, levels={NEAR: LEVELS[NEAR]}, cells=1)
    run_benchmark(benchmark, collect=small_grid.collect, evaluate=small_grid.evaluate)
    (record,) = read_records(tmp_path / "records")
    assert list(record.evaluations) == ["last", NEAR]


def test_every_list_of_ours_is_of_perturbations_that_change_something():
    assert {"standard", "smoke"} <= set(robustness_names())
    for name in robustness_names():
        levels = compose_levels(name)
        assert checked_levels(levels).keys() == levels.keys()


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({}, "must have levels"),
        ({"last": ["perturbation=camera_shift"]}, "not be last"),
        ({"a/b": ["perturbation=camera_shift"]}, "lower-case letters"),
        ({"a": "perturbation=camera_shift"}, "must be a list of words"),
        ({"a": ["episodes=3"]}, "a perturbation and its options alone"),
        ({"a": ["perturbation=camera_shft"]}, "level a must fit mfpolicy eval: .*camera_shift"),
        ({"a": ["perturbation=camera_view"], "b": ["perturbation=camera_view"]}, "a and b are the"),
    ],
)
def test_a_list_that_does_not_fit_is_refused_with_its_entry(lists, levels, message):
    _write(lists, "mine", levels)
    with pytest.raises(ConfigError, match=message):
        compose_levels("mine")


def test_a_level_that_changes_nothing_is_refused():
    none = compose("eval", ["any", "perturbation=object_range", "perturbation.factor=1"])
    with pytest.raises(ConfigError, match="level x of a list .* must change something"):
        checked_levels({"x": none.perturbation})


def test_a_name_of_no_list_is_refused_with_the_nearest(tmp_path):
    assert small(tmp_path, "robustness=smoke").levels == compose_levels("smoke")
    with pytest.raises(ConfigError, match="robustness must name a file .* did you mean 'smoke'"):
        small(tmp_path, "robustness=smok")
