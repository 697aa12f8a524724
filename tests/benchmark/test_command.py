"""The command with the real simulator, from nothing to records and back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from mfpolicy import cli
from mfpolicy.benchmark import read_records
from mfpolicy.benchmark.settings import FIRST_SEED
from mfpolicy.cli.benchmarks import run as running


@pytest.mark.render
def test_the_smoke_suite_from_nothing_to_records(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["benchmark", "run", "suite=smoke", "methods=regression", "out=grid", "threads=1"]
    words += ["episodes=1", "records=records", "device=cpu", "robustness=smoke"]
    assert cli.main(words) == 0
    printed = capsys.readouterr()
    assert "[1/1] metaworld/button-press/regression/d1-s0: finished" in printed.err
    (record,) = read_records("records")
    (episode,) = record.evaluations["last"].episodes
    assert episode.steps == 200
    shifted = record.evaluations["camera_shift_3cm"]
    assert shifted.perturbation == {"name": "camera_shift", "distance_cm": 3.0}
    assert shifted.episodes[0].seed == episode.seed
    assert shifted.episodes != record.evaluations["last"].episodes
    assert record.collected.steps > 20
    assert record.evaluations["last"].latency_ms["p50"] > 0
    shown = f"{float(episode.success_any):.1%} / {float(episode.success_end):.1%}"
    assert shown in printed.out

    shutil.rmtree("grid")
    assert cli.main(words) == 0
    printed = capsys.readouterr()
    assert shown in printed.out
    assert not list((tmp_path / "grid").rglob("*.zarr"))
    assert read_records("records") == [record]

    assert cli.main([*words, "training.steps=13"]) == 2
    assert "training.steps: 12 -> 13" in capsys.readouterr().err


def test_the_plan_is_shown_and_nothing_done(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["suite=adroit_4", "methods=mp1,mip", "seed=0,1", "out=grid", "--cfg"]
    assert cli.main(["benchmark", "run", *words]) == 0
    plan = yaml.safe_load(capsys.readouterr().out)
    assert len(plan["cells"]) == 16
    assert plan["cells"]["adroit/pen/mip/d10-s1"]["overrides"] == [
        "policy=mp1_mixer",
        "objective=mip",
    ]
    assert not list(tmp_path.iterdir())


def test_help_names_suites_and_methods_and_ends_with_the_example(capsys):
    assert cli.main(["benchmark", "run", "--help"]) == 0
    printed = capsys.readouterr().out
    for name in ("quick_8", "mp1_37", "mp1_plus", "flow_matching_1", "standard"):
        assert f"  {name}" in printed
    assert "  suite=…" in printed
    example = printed.splitlines()[-1].strip()
    assert example.startswith("mfpolicy benchmark run suite=quick_8")
    assert cli.main([*example.split()[1:], "--cfg"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ran"], "did you mean 'run'"),
        (["run", "suite=smoke", "methods=mp2", "out=o"], "did you mean"),
    ],
)
def test_a_mistake_is_a_message(words, message, capsys):
    assert cli.main(["benchmark", *words]) == 2
    assert message in capsys.readouterr().err


def test_the_evaluated_seeds_are_the_benchmarks_own_whatever_eval_begins_with(monkeypatch):
    asked = []
    monkeypatch.setattr(running, "compose", lambda verb, words: asked.extend(words))
    monkeypatch.setattr(running, "environment_of", lambda config: None)
    monkeypatch.setattr(running, "evaluate_run", lambda config, make_env: None)
    running.evaluate_cell(Path("run"), 3, None, "cpu")
    assert f"seed={FIRST_SEED}" in asked
