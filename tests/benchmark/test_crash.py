"""Whenever a benchmark is killed, the same command goes on to the same records."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.small_grid import told
from mfpolicy.benchmark import read_records

SCRIPT = Path(__file__).with_name("kill_trials.py")
TESTS = SCRIPT.parent.parent


@pytest.mark.slow
def test_a_killed_benchmark_goes_on_to_the_same_records(tmp_path):
    everything = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)],
        env=everything,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) >= 3
    expected = [told(record) for record in read_records(tmp_path / "reference" / "records")]
    assert len(expected) == 1
    trials = sorted(tmp_path.glob("killed*"))
    for trial in trials:
        assert [told(record) for record in read_records(trial / "records")] == expected, trial
