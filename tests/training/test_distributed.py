"""Several processes that train one policy, started by torchrun and joined by gloo."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mfpolicy.config import compose
from mfpolicy.errors import ConfigError
from mfpolicy.training import train
from mfpolicy.training.distributed import World, device_of, micro_batches_of, world_of_environment
from mfpolicy.training.loop import Trainer
from oracles.demonstrations import TASK

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
GRADIENTS = """
import sys, torch
from safetensors.torch import save_file
from mfpolicy.config import compose
from mfpolicy.training import train
from mfpolicy.training.loop import Trainer

def keep(self, folder, sinks):
    self._seconds = 0.0
    self.update.policy.objective.progress = 0.5
    self.update._accumulate(3)
    if self.world.leads:
        grads = {n: p.grad for n, p in self.policy.named_parameters() if p.grad is not None}
        save_file(grads, folder / "gradients.safetensors")

Trainer.run = keep
train(compose("train", sys.argv[1:]))
"""


def _words(dataset: Path, out: Path, *more: str) -> list[str]:
    return [
        *(f"task={TASK}", f"data={dataset}", f"out={out}", "policy=mp1_small"),
        *("policy.points=32", "network.widths=[16,16,16]", "encoder.widths=[16,16]"),
        *("training.batch_size=16", "logging.wandb=disabled", "device=cpu", *more),
    ]


def _gradients(command: list[str], script: Path, words: list[str]) -> dict[str, torch.Tensor]:
    script.write_text(GRADIENTS)
    subprocess.run([*command, str(script), *words], check=True, timeout=200, env=_alone())
    out = next(word for word in words if word.startswith("out=")).removeprefix("out=")
    return load_file(Path(out) / "gradients.safetensors")


def _alone() -> dict[str, str]:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    return {name: value for name, value in os.environ.items() if name not in names}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "pieces"),
    [
        ("regression", 1),  # draws nothing: the whole batch in one piece must give the same
        ("meanflow", 2),  # noise of a piece is that of the piece, whichever process takes it
    ],
)
def test_two_processes_have_the_gradient_of_one(dataset, tmp_path, objective, pieces):
    words = (f"objective={objective}",)
    two = _gradients(TORCHRUN, tmp_path / "a.py", _words(dataset, tmp_path / "two", *words))
    alone = _words(dataset, tmp_path / "one", *words, f"training.micro_batches={pieces}")
    one = _gradients([sys.executable], tmp_path / "b.py", alone)
    assert two.keys() == one.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-5, atol=1e-7)


def _lines(run: Path) -> list[dict]:
    path = run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


@pytest.mark.slow
def test_processes_stop_together_and_one_goes_on_alone(dataset, tmp_path):
    more = ("training.steps=4000", "training.log_every=1", "training.checkpoint_every=1000")
    words = _words(dataset, tmp_path / "run", *more)
    command = [*TORCHRUN, "-m", "mfpolicy", "train", *words]
    process = subprocess.Popen(command, env=_alone(), stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 150
    while len(_lines(tmp_path / "run")) < 5:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=100)
    (state,) = (tmp_path / "run" / "training_state").glob("step-*.safetensors")
    stopped = int(state.stem.removeprefix("step-"))
    assert 5 <= stopped < 4000

    steps = f"training.steps={stopped + 2}"
    config = tmp_path / "run" / "config.yaml"
    config.write_text(config.read_text().replace("steps: 4000", f"steps: {stopped + 2}"))
    alone = [word for word in words if not word.startswith("training.steps")]
    summary = train(compose("train", [*alone, steps, "resume=true", "training.micro_batches=2"]))
    assert summary.step == stopped + 2
    assert [line["step"] for line in _lines(tmp_path / "run")] == list(range(1, stopped + 3))


def test_pieces_give_the_gradient_of_the_whole_batch(configure, monkeypatch, tmp_path):
    """Of an objective that draws nothing."""
    gradients = []

    def keep(self, folder, sinks):
        self.update._accumulate(0)
        gradients.append({n: p.grad for n, p in self.policy.named_parameters()})

    monkeypatch.setattr(Trainer, "run", keep)
    for pieces in (1, 4):
        more = (f"training.micro_batches={pieces}", f"out={tmp_path / str(pieces)}")
        train(configure("objective=regression", *more))
    whole, parts = gradients
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("size", "batch", "pieces", "message"),
    [
        (2, 16, 3, "multiple of the number of processes.*training.micro_batches=4"),
        (3, 16, None, "multiple of training.micro_batches.*training.batch_size=18"),
        (1, 16, 5, "training.batch_size=20"),
    ],
)
def test_a_world_that_does_not_divide_is_refused(size, batch, pieces, message):
    with pytest.raises(ConfigError, match=message):
        micro_batches_of(World(0, size), batch_size=batch, micro_batches=pieces)


def test_half_an_environment_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="torchrun"):
        world_of_environment()
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(ConfigError, match="torchrun"):
        world_of_environment()


def test_one_gpu_for_several_processes_is_refused():
    with pytest.raises(ConfigError, match="device=cuda"):
        device_of(World(0, 2, 0), "cuda:1")
    assert device_of(World(), "cuda:1") == "cuda:1"
