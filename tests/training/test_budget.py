"""How long a run trains, and what follows the budget."""

import json
import time

import pytest
import yaml

from mfpolicy.config.budget import Budget, parse_budget
from mfpolicy.errors import ConfigError
from mfpolicy.training import train
from mfpolicy.training.progress import Progress
from mfpolicy.training.schedule import ema_decay, learning_rate_factor


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("500steps", Budget(steps=500)),
        ("1 step", Budget(steps=1)),
        ("2.5epochs", Budget(epochs=2.5)),
        ("5min", Budget(seconds=300)),
        ("90s", Budget(seconds=90)),
        ("1.5h", Budget(seconds=5400)),
        ("2 Hours", Budget(seconds=7200)),
    ],
)
def test_budgets_are_read_with_their_unit(text, budget):
    assert parse_budget(text) == budget


@pytest.mark.parametrize("text", ["5", "min", "5 parsecs", "-5min", "0min", "0steps", "1.5steps"])
def test_other_budgets_are_refused_when_the_command_is_read(configure, text):
    with pytest.raises(ConfigError, match="budget"):
        configure(f"budget={text}")


def test_a_budget_in_steps_wins_over_training_steps(configure):
    assert train(configure("budget=7steps")).step == 7


def test_an_epoch_is_a_pass_over_the_windows(configure):
    summary = train(configure("budget=2epochs"))
    assert summary.step == summary.planned_steps == 10  # 80 windows in batches of 16


def test_a_budget_in_time_ends_in_time_with_the_schedule_at_its_end(configure):
    started = time.monotonic()
    summary = train(configure("budget=4s", "training.log_every=1", "training.warmup_steps=2"))
    assert 4 <= time.monotonic() - started < 60
    assert (summary.planned_steps, summary.interrupted) == (None, False)
    lines = [json.loads(x) for x in (summary.run / "metrics.jsonl").read_text().splitlines()]
    rates = [line["learning_rate"] for line in lines]
    assert len(lines) == summary.step
    assert max(rates) > 0.8e-3
    assert rates[-1] < 0.1 * max(rates)
    assert yaml.safe_load((summary.run / "config.yaml").read_text())["budget"] == "4s"


def test_the_clock_of_a_resumed_run_goes_on(configure):
    train(configure("budget=3s"))
    started = time.monotonic()
    summary = train(configure("budget=3s", "resume=true"))
    assert summary.step > 0
    assert time.monotonic() - started < 3


def test_the_end_under_a_budget_in_time_follows_the_pace(configure):
    progress = Progress(configure("budget=100s"), windows=80)
    assert progress.total_steps(50, 25.0) == pytest.approx(200)
    assert progress.total_steps(50, 50.0) == pytest.approx(100)
    assert progress.total_steps(50, 101.0) == 51
    assert [progress.is_over(50, seconds) for seconds in (99.9, 100.0)] == [False, True]


@pytest.mark.parametrize("steps", [100, 10_000])
def test_the_horizon_of_the_average_is_a_share_of_the_budget(steps):
    """Weight of the first half of training in the average is the same at every length."""
    first_half = 1.0
    for step in range(1, steps + 1):
        decay = ema_decay(step, power=0.75, max_decay=1.0, share=0.2)
        first_half = first_half * decay + (1 - decay) * (step <= steps // 2)
    assert first_half == pytest.approx(2**-5, rel=0.25)


def test_the_learning_rate_stays_at_zero_beyond_the_end():
    assert learning_rate_factor(20, steps=10.0, warmup_steps=2) == 0
