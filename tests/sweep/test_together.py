"""``launcher=together``: cells trained at once in one process, on record like any others."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from mfpolicy import cli
from mfpolicy.config import compose_sweep
from mfpolicy.errors import ConfigError
from mfpolicy.sweep import run_sweep
from mfpolicy.training.loop import Trainer

TOGETHER = ("launcher=together", "launcher.workers=2")


def _never(*_: object):
    raise AssertionError("nothing was to be evaluated")


def _states(result) -> dict[str, str]:
    return {record.name: record.state for record in result.records}


def _weights(out: Path) -> dict[str, bytes]:
    return {p.parent.name: p.read_bytes() for p in out.glob("*/model.safetensors")}


def test_the_cells_are_those_of_a_serial_sweep(words, tmp_path, capsys):
    swept = ("seed=0,1", "objective=meanflow,regression")
    serial = run_sweep(compose_sweep(words(*swept, f"out={tmp_path / 'serial'}")), _never)
    asked = ["sweep", *words(*swept, *TOGETHER)]
    assert cli.main(asked) == 0
    assert capsys.readouterr().out.count("6 of 6") == 4
    assert _weights(tmp_path / "grid") == _weights(tmp_path / "serial")
    assert len(_weights(tmp_path / "grid")) == 4

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "grid").glob("s*/**/*")}
    result = run_sweep(compose_sweep(asked[1:]), _never)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    losses = [[record.loss for record in found.records] for found in (serial, result)]
    assert losses[0] == losses[1]


def test_a_cell_that_fails_is_on_record_and_the_others_are_trained(words, tmp_path):
    rates = ("training.learning_rate=1e30,1e-3,1e-4", "training.warmup_steps=0")
    result = run_sweep(compose_sweep(words(*rates, *TOGETHER)), _never)
    assert [record.state for record in result.records] == ["failed", "finished", "finished"]
    failed = result.records[0]
    assert failed.reason is not None
    assert "loss" in failed.reason
    assert Path(failed.log).read_text().count("Traceback") == 1


def test_an_interrupted_sweep_goes_on_exactly(words, tmp_path, monkeypatch):
    """Both workers are under way when the signal comes; the third cell has not begun."""
    run_sweep(compose_sweep(words("seed=0,1,2", f"out={tmp_path / 'whole'}")), _never)
    ends, meeting = Trainer._ends, threading.Barrier(2, timeout=60)

    def stopped_at_three(self, stop):
        if self.step == 3 and not stop.is_set():
            if meeting.wait() == 0:
                os.kill(os.getpid(), signal.SIGTERM)
            assert stop.wait(60)
        return ends(self, stop)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_ends", stopped_at_three)
        result = run_sweep(compose_sweep(words("seed=0,1,2", *TOGETHER)), _never)
    assert result.interrupted
    assert list(_states(result).values()) == ["interrupted", "interrupted", "missing"]
    assert [record.step for record in result.records] == [3, 3, None]
    result = run_sweep(compose_sweep(words("seed=0,1,2", *TOGETHER)), _never)
    assert set(_states(result).values()) == {"finished"}
    assert _weights(tmp_path / "grid") == _weights(tmp_path / "whole")


def test_evaluation_follows_when_all_are_trained(words, tmp_path):
    measured = []

    def evaluate(run, episodes, workers, device):
        trained = len(list((tmp_path / "grid").glob("*/model.safetensors")))
        measured.append((run.name, episodes, workers, trained))
        rates = [SimpleNamespace(rate=rate) for rate in (0.75, 0.5)]
        return SimpleNamespace(episodes=episodes, success_any=rates[0], success_end=rates[1])

    asked = words("seed=0,1", "episodes=4", "device=cpu", *TOGETHER)
    for _ in range(2):
        result = run_sweep(compose_sweep(asked), evaluate)
    assert measured == [("seed0", 4, 2, 2), ("seed1", 4, 2, 2)]
    assert {record.success_any for record in result.records} == {0.75}


def test_workers_out_of_range_are_refused_by_name(words):
    with pytest.raises(ConfigError, match=r"launcher.workers must be at least 1"):
        run_sweep(compose_sweep(words("seed=0,1", *TOGETHER[:1], "launcher.workers=0")), _never)
