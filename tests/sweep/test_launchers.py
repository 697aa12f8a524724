"""Real launchers: the weights are those of the plain training, and no kill loses a cell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from mfpolicy.config import compose_sweep, launching
from mfpolicy.sweep.driver import run_sweep
from mfpolicy.sweep.record import CellFiles
from sweep.conftest import small_words

COMMAND = [sys.executable, "-m", "mfpolicy", "sweep"]
ONE_LEVEL = "network.widths=[16]"
JOBLIB = ("launcher=joblib", "launcher.n_jobs=2")


def _never(*_: object):
    raise AssertionError("nothing was to be evaluated")


def _weights(out: Path) -> dict[str, bytes]:
    return {p.parent.name: p.read_bytes() for p in out.glob("*/model.safetensors")}


def _sweep(words: list[str], **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def words(dataset, tmp_path):
    """Returns a function from further words to those of a small sweep."""
    return partial(small_words, dataset, tmp_path / "grid", ONE_LEVEL)


@pytest.fixture(scope="module")
def expected(dataset, tmp_path_factory):
    """The weights of two cells, trained in this process."""
    out = tmp_path_factory.mktemp("serial") / "grid"
    run_sweep(compose_sweep(small_words(dataset, out, ONE_LEVEL, "seed=0,1")), _never)
    return _weights(out)


@pytest.mark.slow
def test_submitit_trains_the_same_weights(words, tmp_path, expected):
    done = _sweep(words("seed=0,1", "launcher=submitit_local"))
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert _weights(tmp_path / "grid") == expected


@pytest.mark.slow
def test_ray_trains_the_same_weights(words, tmp_path, expected):
    options = ("launcher=ray", "launcher.ray.init.num_cpus=2", "launcher.ray.init.num_gpus=0")
    done = _sweep(words("seed=0,1", *options))
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert _weights(tmp_path / "grid") == expected


@pytest.mark.slow
def test_a_ray_cluster_of_two_workers_that_is_already_running(words, tmp_path, expected):
    """Two nodes of one core each: both cells run at once, on a worker process of either."""
    program = (
        "import subprocess, sys\n"
        "from ray.cluster_utils import Cluster\n"
        "options = {'num_cpus': 1, 'include_dashboard': False}\n"
        "cluster = Cluster(initialize_head=True, head_node_args=options)\n"
        "cluster.add_node(num_cpus=1)\n"
        "words = [*sys.argv[1:], 'launcher=ray', f'launcher.ray.init.address={cluster.address}']\n"
        "try:\n"
        "    done = subprocess.run([sys.executable, '-m', 'mfpolicy', 'sweep', *words])\n"
        "finally:\n"
        "    cluster.shutdown()\n"
        "raise SystemExit(done.returncode)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words("seed=0,1")],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert _weights(tmp_path / "grid") == expected


@pytest.mark.slow
@pytest.mark.render
def test_joblib_trains_the_same_weights_and_evaluates_them_in_its_workers(
    words, tmp_path, expected
):
    """A worker of joblib starts the evaluation's own processes, and the result is on record."""
    done = _sweep(words("seed=0,1", "episodes=1", "device=cpu", *JOBLIB))
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert _weights(tmp_path / "grid") == expected
    for cell in json.loads((tmp_path / "grid" / "sweep.json").read_text())["cells"]:
        (episodes,) = Path(cell["run"]).glob("eval/*/episodes.jsonl")
        (episode,) = [json.loads(line) for line in episodes.read_text().splitlines()]
        assert episode["seed"] == 10000
        measured = (cell["episodes"], cell["success_any"], cell["success_end"])
        assert measured == (1, episode["success_any"], episode["success_end"])


STEPS, EVERY = 160, 10


def _long(words, *more: str) -> list[str]:
    checkpoints = (f"training.checkpoint_every={EVERY}", "training.log_every=1")
    return words("seed=0,1", f"training.steps={STEPS}", *checkpoints, *more)


@pytest.fixture(scope="module")
def unkilled(dataset, tmp_path_factory):
    """The weights of a whole run, in this process."""
    out = tmp_path_factory.mktemp("unkilled") / "grid"
    run_sweep(compose_sweep(_long(partial(small_words, dataset, out, ONE_LEVEL))), _never)
    return _weights(out)


@contextmanager
def _started(words: list[str], out: Path) -> Iterator[tuple[subprocess.Popen, list[int]]]:
    """Starts the sweep and yields it with its workers once both cells are under way.

    What it prints goes to a file: workers that outlive their driver would keep a pipe open.
    """
    log, before = out.with_name("printed.txt"), time.time()
    with log.open("w") as printed:
        process = subprocess.Popen([*COMMAND, *words], stdout=printed, stderr=printed)
    workers: list[int] = []
    try:
        deadline = time.monotonic() + 120
        while not all(_is_under_way(out / name, before) for name in ("seed0", "seed1")):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        workers = _workers(process.pid)
        yield process, workers
    finally:
        process.kill()
        process.wait()
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)


def _is_under_way(run: Path, since: float) -> bool:
    """Whether it has written since then, and past its first checkpoint; or was at its end."""
    path = run / "metrics.jsonl"
    if not path.is_file():
        return False
    lines = path.read_text().count("\n")
    return lines == STEPS or (lines > EVERY and path.stat().st_mtime > since)


def _workers(driver: int) -> list[int]:
    children = Path(f"/proc/{driver}/task/{driver}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"popen_loky_posix" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@pytest.mark.slow
def test_a_sweep_killed_again_and_again_goes_on_to_the_weights_of_an_unkilled_one(
    words, tmp_path, unkilled
):
    """Its driver politely, its driver at once, and a worker, after which it goes on by itself."""
    out = tmp_path / "grid"
    command = _long(words, *JOBLIB)
    with _started(command, out) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 130, out.with_name("printed.txt").read_text()
    assert _weights(out) != unkilled
    with _started(command, out) as (process, _):
        process.kill()
        assert process.wait(timeout=120) == -signal.SIGKILL
    assert _weights(out) != unkilled
    with _started(command, out) as (process, workers):
        os.kill(workers[0], signal.SIGKILL)
        assert process.wait(timeout=120) == 0, out.with_name("printed.txt").read_text()
    assert _weights(out) == unkilled
    assert all((out / CellFiles.FOLDER / f"seed{seed}.json").is_file() for seed in (0, 1))


@pytest.mark.parametrize(
    ("given", "environment", "address"),
    [
        (None, None, "local"),  # also beside a cluster that somebody runs here
        (None, "10.0.0.1:6379", "10.0.0.1:6379"),
        ("auto", "10.0.0.1:6379", "auto"),
        ("local", "10.0.0.1:6379", "local"),
    ],
)
def test_a_cluster_of_ray_is_joined_only_when_it_is_named(
    given: str | None, environment: str | None, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if environment is not None:
        monkeypatch.setenv("RAY_ADDRESS", environment)
    init = launching._ray_options({"init": {"address": given}})["init"]
    assert init["address"] == address
    assert ("object_store_memory" not in init) == (address == "local")
    assert ("include_dashboard" in init) == (address == "local")
