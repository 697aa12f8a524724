"""What decides whether a record answers, and which evaluation a point of its curve takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import benchmark.small_grid as small_grid
from benchmark.synthetic import cell as recorded
from benchmark.synthetic import episodes
from mfpolicy.benchmark.provenance import note_beginning, read_beginning
from mfpolicy.benchmark.record import Collected
from mfpolicy.benchmark.settings import differences, recorded_config
from mfpolicy.benchmark.work import BenchmarkWork
from mfpolicy.training.run_folder import CONFIG
from mfpolicy.training.snapshots import snapshot_folder
from oracles.demonstrations import write_dataset


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    out = tmp_path_factory.mktemp("asked") / "grid"
    return small_grid.small(out, f"tasks={small_grid.TASKS[0]}").cells[0]


def _record(asked, **more):
    values = {"config": recorded_config(asked.config), "seeds": range(10_000, 10_003), **more}
    return recorded("mip", str(asked.config.task), demonstrations=2, **values)


def test_a_record_of_the_cell_has_no_differences(asked):
    assert differences(_record(asked), asked, episodes=3) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"task": "adroit/pen"}, "task: 'adroit/pen' -> 'metaworld/drawer-open'"),
        ({"method": "mp1"}, "method: 'mp1' -> 'mip'"),
        ({"seed": 7}, "seed: 7 -> 0"),
        ({"demonstrations": 3}, "demonstrations: 3 -> 2"),
    ],
)
def test_a_record_that_lies_where_another_belongs_is_told(asked, change, told):
    record = dataclasses.replace(_record(asked), **change)
    assert differences(record, asked, episodes=3) == [told]


@pytest.mark.parametrize(
    ("key", "told"),
    [("training.ema_power", ["training.ema_power: None -> 0.75"]), ("training.snapshots", [])],
)
def test_a_key_that_a_record_lacks_counts_where_it_is_on(asked, key, told):
    config = recorded_config(asked.config)
    del config[key]
    assert differences(_record(asked, config=config), asked, episodes=3) == told


def test_what_means_nothing_to_a_task_is_not_in_its_record(tmp_path):
    widths = [
        recorded_config(cell.config)["encoder.relative_near_m"]
        for cell in small_grid.small(
            tmp_path, "suite=quick_8", "tasks=metaworld/push,adroit/pen"
        ).cells
    ]
    assert widths == [[0.03, 0.1, 0.3], None], "Adroit's state holds no position"


def test_other_demonstrations_are_a_difference_where_they_are_there(asked):
    record = _record(asked, collected=Collected(2, 10, 2, None, (0, 1), digest="of others"))
    assert differences(record, asked, episodes=3) == []
    path = Path(str(asked.config.data))
    path.parent.mkdir(parents=True)
    write_dataset(path, task=str(asked.config.task), episodes=2)
    (told,) = differences(record, asked, episodes=3)
    assert told.startswith("digest of the demonstrations: of others -> ")


def test_a_curve_takes_the_last_evaluation_at_the_step_of_the_last_checkpoint_alone(
    asked, tmp_path
):
    """A training that stops early ends after its last point."""
    evaluated = []

    def evaluate(run, episodes, workers, device, name="benchmark"):
        evaluated.append(run.name)
        raise LookupError

    work = BenchmarkWork(
        cells=[asked],
        out=tmp_path,
        evaluate=evaluate,
        episodes=20,
        threads=1,
        driver=0,
        collect=small_grid.collect,
        records=tmp_path,
        commit=None,
    )
    last = episodes("last", 0.5, range(10_000, 10_020))
    folder = snapshot_folder(tmp_path / "run", 400)
    folder.mkdir(parents=True)
    (point,) = work.curve(tmp_path / "run", "cpu", 400, last)
    assert (point.step, point.episodes, evaluated) == (400, last, [])
    with pytest.raises(LookupError):
        work.curve(tmp_path / "run", "cpu", 500, last)
    assert evaluated == [folder.name]


def test_what_a_training_began_with_stays_once_it_has_begun(tmp_path):
    assert read_beginning(tmp_path) is None
    for commit in ("a", "b"):
        note_beginning(tmp_path, {"commit": commit})
    assert read_beginning(tmp_path) == {"commit": "b"}  # the first ended before its training began
    (tmp_path / CONFIG).write_text("")
    note_beginning(tmp_path, {"commit": "c"})
    assert read_beginning(tmp_path) == {"commit": "b"}
