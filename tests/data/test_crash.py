"""A killed writer loses nothing that was finished, and the next one ends with the same files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("mode", "least_kills"), [("random", 10), ("every-write", 40)])
def test_sigkill_at_any_moment_loses_no_finished_episode(tmp_path, mode, least_kills):
    script = Path(__file__).with_name("crash_trials.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), mode],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kills"] >= least_kills
