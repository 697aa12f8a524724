"""A program on a leash ends with the one who started it, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from oracles.running import is_running

STARTER = """
import subprocess, sys, time
child = subprocess.Popen(
    [sys.executable, "-m", "real_robot.leash", "timeit", "-n", "1", "-r", "1",
     "-s", "import time", "time.sleep(600)"],
    stdin=subprocess.PIPE, start_new_session=True,
)
print(child.pid, flush=True)
time.sleep(600)
"""


def test_a_starter_that_is_killed_takes_the_program_with_it():
    starter = subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True)
    pid = int(starter.stdout.readline())
    try:
        assert is_running(pid)
        starter.kill()
        starter.wait()
        for _ in range(300):
            if not is_running(pid):
                break
            time.sleep(0.1)
        assert not is_running(pid)
    finally:
        starter.stdout.close()
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)


def test_without_a_module_it_says_how_it_is_used():
    done = subprocess.run(
        [sys.executable, "-m", "real_robot.leash"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "MODULE" in done.stderr
