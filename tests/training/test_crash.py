"""Runs that were killed, lost power or ran out of disk go on as if nothing had happened."""

import json
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mfpolicy.errors import RunError
from mfpolicy.policy import load_policy
from mfpolicy.policy.tensor_file import STAGING
from mfpolicy.training import loop, train
from mfpolicy.training.logging import MetricsFile
from oracles.demonstrations import TASK
from oracles.full_disk import FullDisk
from training.conftest import small_config

MODEL, METRICS, STATE = "model.safetensors", "metrics.jsonl", "training_state"


@pytest.mark.slow
def test_sigkill_before_any_change_of_a_file_loses_nothing(dataset, tmp_path):
    """During each write, before and after each rename and removal, also in a resume's own."""
    words = [f"task={TASK}", f"data={dataset}", "policy=mp1_small", "policy.points=32"]
    words += ["network.widths=[16]", "encoder.widths=[16,16]", "training.steps=3"]
    words += ["training.batch_size=16", "training.checkpoint_every=1", "training.log_every=2"]
    script = Path(__file__).with_name("crash_trials.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), *words, "logging.wandb=disabled"],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["changes"] >= 30
    assert told["kills"] > told["changes"]


def _metrics(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
    for line in lines:
        line.pop("samples_per_s")
    return lines


def _assert_same_run(run: Path, reference: Path) -> None:
    one, other = load_file(run / MODEL), load_file(reference / MODEL)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert _metrics(run) == _metrics(reference)
    kept = [sorted(path.name for path in (r / STATE).iterdir()) for r in (run, reference)]
    assert kept[0] == kept[1]


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _zero_tail(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))


def _garbage(path: Path) -> None:
    path.write_bytes(b"garbage" * 1000)


DAMAGES = [_truncate, _zero_tail, _garbage]


@pytest.mark.parametrize("damage", DAMAGES)
def test_with_a_damaged_newest_checkpoint_the_run_ends_with_the_same_bits(
    configure, run, finished, damage
):
    damage(run / STATE / "step-00000012.safetensors")
    with pytest.warns(UserWarning, match="damaged checkpoint.*step-00000012"):
        assert train(configure("resume=true")).step == 12
    _assert_same_run(run, finished)


def test_with_both_damaged_the_run_is_left_alone_until_it_is_told_to_start_over(
    configure, run, finished
):
    for path in (run / STATE).iterdir():
        _zero_tail(path)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match=r"step-00000012.*step-00000010.*start from step 0"):
        train(configure("resume=true"))
    assert {path: path.read_bytes() for path in before} == before
    shutil.rmtree(run / STATE)
    assert train(configure("resume=true")).step == 12
    _assert_same_run(run, finished)


@pytest.mark.parametrize("damage", [*DAMAGES, Path.unlink])
def test_a_policy_that_does_not_match_its_checkpoint_is_written_anew(
    configure, run, finished, damage
):
    damage(run / MODEL)
    assert train(configure("resume=true")).step == 12
    _assert_same_run(run, finished)


def test_a_policy_older_than_the_last_checkpoint_is_written_anew(configure, run, finished):
    """The run was killed between both, at its very end: no step is left that would save it."""
    older = train(configure(f"out={run.parent / 'older'}", "training.steps=7")).run
    shutil.copy(older / MODEL, run / MODEL)
    assert train(configure("resume=true")).step == 12
    _assert_same_run(run, finished)


def _torn_line(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b'{"step": 13, "lo')


def _line_of_zeros(path: Path) -> None:
    path.write_bytes(path.read_bytes() + bytes(300))


def _repeated_lines(path: Path) -> None:
    """Of steps that were logged but not saved."""
    path.write_bytes(path.read_bytes() + b'{"step": 16, "loss": 1.0}\n{"step": 20, "loss": 1.0}\n')


def _lines_of_anything(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b'12\n[]\n"step"\n\xff\xfe\n\n{"step": null}\n{}\n')


@pytest.mark.parametrize(
    "damage", [_torn_line, _line_of_zeros, _repeated_lines, _lines_of_anything]
)
@pytest.mark.parametrize("checkpoint", [10, 12])
def test_the_metrics_of_a_resumed_run_have_each_line_once(
    configure, run, finished, damage, checkpoint
):
    """Also the line whose mean reaches from before the checkpoint to after it."""
    damage(run / METRICS)
    if checkpoint == 10:
        (run / STATE / "step-00000012.safetensors").unlink()
    assert train(configure("resume=true")).step == 12
    assert _metrics(run) == _metrics(finished)


def test_what_a_killed_writer_left_is_removed(configure, run, finished):
    for folder in (run, run / STATE):
        (folder / STAGING).mkdir()
        (folder / STAGING / ".tmpXyZ").write_bytes(b"half")
    train(configure("resume=true"))
    names = [{str(path.relative_to(r)) for path in r.rglob("*")} for r in (run, finished)]
    assert names[0] == names[1]


def test_a_run_killed_before_it_was_described_starts(configure, run, finished):
    shutil.rmtree(run)
    run.mkdir()
    (run / "data.yaml").write_text("episodes: 4\n")
    (run / "config.yaml.partial").write_text("poli")
    assert train(configure("resume=true")).step == 12
    _assert_same_run(run, finished)


@pytest.fixture
def disk(tmp_path):
    with FullDisk(tmp_path, megabytes=64) as disk:
        yield disk


def _fill_from(monkeypatch, disk: FullDisk, owner: object, name: str, call: int) -> None:
    """From the ``call``-th call of ``owner.name`` on, the disk is full while it runs."""
    original, count = getattr(owner, name), 0

    def on_a_full_disk(*arguments, **options):
        nonlocal count
        count += 1
        with disk.full(free=0) if count >= call else nullcontext():
            return original(*arguments, **options)

    monkeypatch.setattr(owner, name, on_a_full_disk)


LONGER = ("training.steps=25", "training.checkpoint_every=10", "training.log_every=1")


@pytest.fixture(scope="module")
def longer(dataset, tmp_path_factory):
    """A run of these options that nothing stopped."""
    return train(small_config(dataset, tmp_path_factory.mktemp("longer") / "run", *LONGER)).run


@pytest.mark.parametrize(
    ("owner", "name", "call", "told", "checkpoints"),
    [
        (loop, "save_state", 1, "step-00000010.safetensors must be written whole", []),
        (loop, "save_state", 2, "step-00000020.safetensors must be written whole", [10]),
        (loop, "save_policy", 1, "model.safetensors must be written whole", [10]),
        (loop, "save_policy", 2, "model.safetensors must be written whole", [10, 20]),
        (MetricsFile, "write", 13, "metrics.jsonl must take every line", [10]),
    ],
)
def test_a_full_disk_stops_the_run_with_all_it_had_and_it_goes_on_later(
    configure, longer, disk, owner, name, call, told, checkpoints
):
    run = disk.folder / "run"
    with pytest.MonkeyPatch.context() as patch:
        _fill_from(patch, disk, owner, name, call)
        with pytest.raises(RunError, match=f"{told}.*free disk space.*resume=true"):
            train(configure(f"out={run}", *LONGER))
    kept = sorted(path.name for path in run.glob(f"{STATE}/*"))
    assert kept == [f"step-{step:08d}.safetensors" for step in checkpoints]
    assert (run / METRICS).read_bytes().endswith(b"\n")
    if (run / MODEL).exists():
        load_policy(run)
    assert train(configure(f"out={run}", *LONGER, "resume=true")).step == 25
    _assert_same_run(run, longer)


def test_a_disk_that_is_full_from_the_start_leaves_a_folder_to_start_in(configure, disk):
    run = disk.folder / "run"
    with disk.full(free=0), pytest.raises(RunError, match="must be writable.*free disk space"):
        train(configure(f"out={run}"))
    assert train(configure(f"out={run}")).step == 12
