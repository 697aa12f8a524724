"""A sweep runs what is missing, once, and says what became of each cell."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mfpolicy import cli
from mfpolicy.config import compose_sweep
from mfpolicy.errors import BackendError, DataError, RunError
from mfpolicy.sweep import run_sweep
from mfpolicy.sweep.record import CellFiles, lock_or_none
from mfpolicy.training import train
from mfpolicy.training.loop import Trainer
from oracles.demonstrations import write_dataset


def _never(*_: object):
    raise AssertionError("nothing was to be evaluated")


def _states(result) -> dict[str, str]:
    return {record.name: record.state for record in result.records}


def _weights(out: Path) -> dict[str, bytes]:
    return {p.parent.name: p.read_bytes() for p in out.glob("*/model.safetensors")}


def test_each_cell_is_an_ordinary_run_and_a_finished_one_is_left_alone(words, tmp_path, capsys):
    asked = ["sweep", *words("seed=0,1")]
    assert cli.main(asked) == 0
    printed = capsys.readouterr()
    assert printed.out.count("finished") == 2
    assert "6 of 6" in printed.out
    assert "[2/2]" in printed.err
    out = tmp_path / "grid"
    (first, _) = compose_sweep(asked[1:]).cells
    alone = dataclasses.replace(first.config, out=str(tmp_path / "alone"))
    assert train(alone).run.joinpath("model.safetensors").read_bytes() == _weights(out)["seed0"]
    names = {path.name for path in (out / "seed0").iterdir()}
    assert names == {path.name for path in (tmp_path / "alone").iterdir()}

    before = {path: path.stat().st_mtime_ns for path in out.glob("seed*/**/*")}
    assert cli.main(asked) == 0
    assert {path: path.stat().st_mtime_ns for path in out.glob("seed*/**/*")} == before
    assert capsys.readouterr().err == ""


def test_more_values_add_cells_and_keep_those_that_are_there(words, tmp_path):
    run_sweep(compose_sweep(words("seed=0,1")), _never)
    kept = (tmp_path / "grid" / "seed0" / "model.safetensors").stat().st_mtime_ns
    result = run_sweep(compose_sweep(words("seed=0,1,2")), _never)
    assert set(_states(result).values()) == {"finished"}
    assert (tmp_path / "grid" / "seed0" / "model.safetensors").stat().st_mtime_ns == kept


def test_the_files_of_a_sweep_hold_every_cell(words, tmp_path):
    assert cli.main(["sweep", *words("seed=0,1", "objective=meanflow,regression")]) == 0
    content = json.loads((tmp_path / "grid" / "sweep.json").read_text())
    assert content["states"] == {"finished": 4}
    rows = list(csv.DictReader((tmp_path / "grid" / "sweep.csv").read_text().splitlines()))
    assert [(row["objective"], row["seed"]) for row in rows] == [
        (cell["values"]["objective"], cell["values"]["seed"]) for cell in content["cells"]
    ]
    for row, cell in zip(rows, content["cells"], strict=True):
        last = (Path(cell["run"]) / "metrics.jsonl").read_text().splitlines()[-1]
        assert float(row["loss"]) == cell["loss"] == json.loads(last)["loss"]
        assert (row["step"], row["state"]) == ("6", "finished")


def test_a_failed_cell_leaves_the_others_going_and_is_tried_again(words, tmp_path, capsys):
    asked = ["sweep", *words("training.learning_rate=1e30,1e-3", "training.warmup_steps=0")]
    assert cli.main(asked) == 1
    printed = capsys.readouterr().out
    log = tmp_path / "grid" / ".sweep" / "learning_rate1e+30.log"
    assert f"log: {log}" in printed
    assert "loss" in printed.partition("failed: ")[2]
    assert log.read_text().count("Traceback") == 1
    content = json.loads((tmp_path / "grid" / "sweep.json").read_text())
    assert content["states"] == {"failed": 1, "finished": 1}
    assert cli.main(asked) == 1
    assert log.read_text().count("Traceback") == 2


def test_a_stopped_cell_goes_on_to_the_weights_of_an_unstopped_one(words, tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    run_sweep(compose_sweep(words("seed=0,1", f"out={whole}")), _never)
    save = Trainer._save

    def stopped_after_saving(self, folder):
        save(self, folder)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_save", stopped_after_saving)
        result = run_sweep(compose_sweep(words("seed=0,1")), _never)
    assert result.interrupted
    assert _states(result) == {"seed0": "interrupted", "seed1": "missing"}
    assert result.records[0].step == 2
    result = run_sweep(compose_sweep(words("seed=0,1")), _never)
    assert set(_states(result).values()) == {"finished"}
    assert _weights(tmp_path / "grid") == _weights(whole)


def test_a_cell_of_another_configuration_is_refused_with_both_values(words, tmp_path):
    run_sweep(compose_sweep(words("seed=0,1")), _never)
    before = _weights(tmp_path / "grid")
    changed = compose_sweep(words("seed=0,1,2", "training.ema_power=0.5"))
    with pytest.raises(RunError, match=r"training.ema_power: 0.75 -> 0.5"):
        run_sweep(changed, _never)
    assert _weights(tmp_path / "grid") == before


def test_a_forced_change_goes_on_with_the_cells_it_changes(words, tmp_path):
    run_sweep(compose_sweep(words("seed=0,1")), _never)
    forced = words("seed=0,1", "training.steps=8", "resume=force")
    with pytest.warns(UserWarning, match="goes on with changes"):
        result = run_sweep(compose_sweep(forced), _never)
    assert [(record.state, record.step) for record in result.records] == [("finished", 8)] * 2


def test_a_foreign_folder_is_refused_before_anything_runs(words, tmp_path):
    (tmp_path / "grid" / "seed1").mkdir(parents=True)
    (tmp_path / "grid" / "seed1" / "thesis.tex").write_text("precious")
    with pytest.raises(RunError, match="new or empty"):
        run_sweep(compose_sweep(words("seed=0,1")), _never)
    assert [path.name for path in (tmp_path / "grid").iterdir()] == ["seed1"]


def test_a_new_sweep_asked_for_needs_a_new_folder(words):
    run_sweep(compose_sweep(words("seed=0,1", "resume=false")), _never)
    with pytest.raises(RunError, match="new or empty"):
        run_sweep(compose_sweep(words("seed=0,1", "resume=false")), _never)


def test_evaluation_follows_training_and_is_added_to_trained_cells(words, tmp_path):
    measured = []

    def evaluate(run, episodes, workers, device):
        measured.append((run.name, episodes, workers, device))
        rates = [SimpleNamespace(rate=rate) for rate in (0.75, 0.5)]
        return SimpleNamespace(episodes=episodes, success_any=rates[0], success_end=rates[1])

    run_sweep(compose_sweep(words("seed=0,1")), evaluate)
    assert measured == []
    weights = _weights(tmp_path / "grid")
    for _ in range(2):
        result = run_sweep(compose_sweep(words("seed=0,1", "episodes=4", "device=cpu")), evaluate)
    assert measured == [("seed0", 4, 1, "cpu"), ("seed1", 4, 1, "cpu")]
    assert _weights(tmp_path / "grid") == weights
    record = result.records[1]
    assert (record.episodes, record.success_any, record.success_end) == (4, 0.75, 0.5)
    assert record.loss is not None


def test_two_sweeps_in_one_folder_are_refused(words, tmp_path):
    lock = lock_or_none(tmp_path / "grid" / CellFiles.FOLDER / "sweep")
    with pytest.raises(RunError, match="only one sweep"):
        run_sweep(compose_sweep(words("seed=0,1")), _never)
    lock.release()


def test_a_sweep_that_sees_no_records_does_not_go_round_for_ever(words, monkeypatch):
    monkeypatch.setattr("mfpolicy.sweep.batches.launch", lambda *_: {})
    with pytest.raises(RunError, match="a file system that all machines share"):
        run_sweep(compose_sweep(words("seed=0,1")), _never)


def test_a_launcher_that_cannot_start_is_named(words, monkeypatch):
    def broken(*_):
        raise RuntimeError('Could not detect "srun"')

    monkeypatch.setattr("mfpolicy.sweep.batches.launch", broken)
    with pytest.raises(BackendError, match=r"launcher=serial.*srun"):
        run_sweep(compose_sweep(words("seed=0,1")), _never)


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "submitit_slurm", "ray"])
def test_a_launcher_that_is_not_installed_is_named_with_its_remedy(launcher, words, monkeypatch):
    from mfpolicy.config.launching import PLUGINS

    monkeypatch.setitem(sys.modules, PLUGINS[launcher][1], None)
    sweep = compose_sweep(words("seed=0,1", f"launcher={launcher}"))
    with pytest.raises(BackendError, match=r"pip install 'mfpolicy\[sweep\]'"):
        run_sweep(sweep, _never)


def test_an_option_of_another_type_is_refused_by_its_name(words, capsys):
    asked = words("seed=0,1", "launcher=joblib", "launcher.verbose=loud")
    assert cli.main(["sweep", *asked]) == 2
    assert "launcher.verbose" in capsys.readouterr().err


def test_a_missing_dataset_is_named_before_anything_runs(words, tmp_path, capsys):
    data = tmp_path / "data"
    write_dataset(data / "0.zarr")
    assert cli.main(["sweep", *words("seed=0,1", f"data={data}/{{seed}}.zarr")]) == 2
    assert f"{data}/1.zarr" in capsys.readouterr().err
    assert not (tmp_path / "grid").exists()


def test_data_of_another_task_fail_their_cell_alone(words, tmp_path):
    data = tmp_path / "data"
    write_dataset(data / "0.zarr")
    write_dataset(data / "1.zarr", task="metaworld/reach")
    result = run_sweep(compose_sweep(words("seed=0,1", f"data={data}/{{seed}}.zarr")), _never)
    assert _states(result) == {"seed0": "finished", "seed1": "failed"}
    with pytest.raises(DataError) as caught:
        train(compose_sweep(words("seed=1,2", f"data={data}/{{seed}}.zarr")).cells[0].config)
    assert result.records[1].reason == str(caught.value).replace(str(data), str(data.resolve()))
