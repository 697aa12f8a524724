"""Flags that a task names beside its success: recorded per episode, counted, shown, compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.fakes import ReachEnv
from evaluation.run_folders import write_run
from mfpolicy.errors import RunError
from mfpolicy.evaluation import evaluate, read_summary, summary_rows
from mfpolicy.evaluation.conditions import Conditions
from mfpolicy.evaluation.records import read_log
from mfpolicy.evaluation.report import record_videos


class FlaggedEnv(ReachEnv):
    """Two more flags: a wider goal, and a point that never moves left."""

    def simulate(self, action: np.ndarray) -> tuple[float, bool, bool, dict[str, Any]]:
        reward, terminated, truncated, info = super().simulate(action)
        info["flags"] = {"near": -reward < 1.5 * self.radius, "left": bool(action[0] < -0.2)}
        return reward, terminated, truncated, info


class UnsteadyEnv(FlaggedEnv):
    """Names a flag that depends on the environment's history."""

    episodes = 0

    def reset(self, *, seed: int | None = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        self.episodes += 1
        return super().reset(seed=seed)

    def simulate(self, action: np.ndarray) -> tuple[float, bool, bool, dict[str, Any]]:
        *result, info = super().simulate(action)
        return *result, {**info, "flags": {"early": self.episodes < 4}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run") / "reach")


@pytest.fixture(scope="module")
def summary(run: Path):
    return evaluate(run, FlaggedEnv, episodes=12, workers=1, videos=False, name="flagged")


def test_a_flag_counts_where_it_was_up_at_some_step(summary) -> None:
    results = read_log(summary.folder).values()
    assert {tuple(result.flags) for result in results} == {("near", "left")}
    near = sum(result.flags["near"] for result in results)
    assert near >= sum(result.success_any for result in results)  # the wider goal
    assert 0 < near <= 12
    assert (summary.flags["near"].k, summary.flags["near"].n) == (near, 12)
    assert summary.flags["left"].k == sum(result.flags["left"] for result in results)


def test_flags_are_read_back_printed_and_in_the_model_card(run: Path, summary) -> None:
    assert read_summary(summary.folder) == summary
    rows = dict(summary_rows(summary))
    card = (run / "README.md").read_text()
    for name, rate in summary.flags.items():
        assert rows[f"flag {name} at any step"] == str(rate)
        assert f"- `flagged`, flag `{name}` at any step: {rate}" in card
        assert f"name: flag {name} at any step" in card


def test_results_of_before_have_no_flags(run: Path, tmp_path: Path) -> None:
    plain = evaluate(run, ReachEnv, episodes=3, workers=1, videos=False, name="plain")
    assert plain.flags == {}
    assert not any(row.startswith("flag") for row, _ in summary_rows(plain))
    old = tmp_path / "old"
    old.mkdir()
    lines = (plain.folder / "episodes.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    content = json.loads((plain.folder / "summary.json").read_text())
    for record in (*records, content):
        del record["flags"]
    (old / "episodes.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (old / "summary.json").write_text(json.dumps(content))
    assert read_summary(old) == plain
    assert read_log(old) == read_log(plain.folder)


def test_a_replay_must_raise_the_same_flags(run: Path) -> None:
    summary = evaluate(run, UnsteadyEnv, episodes=6, workers=1, videos=False, name="unsteady")
    results = list(read_log(summary.folder).values())
    late = [result for result in results if not result.flags["early"]]
    assert late
    with pytest.raises(RunError, match="must take the course that was recorded"):
        record_videos(summary, late, UnsteadyEnv, Conditions())
