"""Training runs: what they write, that they repeat, and that they refuse what does not fit."""

import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mfpolicy.config import compose
from mfpolicy.data import WindowDataset, open_dataset
from mfpolicy.errors import BackendError, ConfigError, DataError, RunError
from mfpolicy.policy import Policy, load_policy, read_spec
from mfpolicy.policy.files import SPEC_KEY, WEIGHTS
from mfpolicy.policy.tensor_file import write_tensors
from mfpolicy.training import train
from mfpolicy.training.randomness import BatchSampler
from oracles.demonstrations import TASK, write_dataset


def _weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def _assert_same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


def _step(checkpoint: Path) -> int:
    return int(checkpoint.stem.partition("-")[2])


def test_a_run_folder_is_whole_and_loads(configure):
    summary = train(configure())
    run = summary.run
    assert (summary.step, summary.interrupted) == (12, False)
    names = {path.name for path in run.iterdir()}
    described = {"config.yaml", "data.yaml"}
    assert names == {*described, "model.safetensors", "metrics.jsonl", "training_state"}
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 12]
    assert {"loss", "samples_per_s", "learning_rate", "grad_norm", "mse_end"} <= lines[0].keys()
    spec = load_policy(run).spec
    assert (spec.task, spec.points, spec.recipe["points"]) == ("metaworld/drawer-open", 32, 32)
    assert spec.demonstration_seeds == [0, 1, 2, 3]
    kept = sorted(path.name for path in (run / "training_state").iterdir())
    assert kept == ["step-00000010.safetensors", "step-00000012.safetensors"]


@pytest.mark.parametrize(
    ("words", "positions"), [("auto", [[0, 1, 2]]), ("[[0,1,2],[3,4,5]]", [[0, 1, 2], [3, 4, 5]])]
)
def test_points_are_seen_from_where_the_configuration_says(configure, words, positions):
    run = train(configure(f"encoder.relative_to={words}", "training.steps=1")).run
    policy = load_policy(run)
    relative, normalizer = policy.encoder.relative, policy.normalizer
    assert [list(places) for places in relative.positions] == positions
    scale = normalizer.point_cloud.scale / normalizer.agent_pos.scale[relative.place]
    torch.testing.assert_close(relative.scale, scale)
    assert not torch.allclose(relative.scale, torch.ones(3)), "as the data are normalised"


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    configure, finished, tmp_path
):
    train(configure(f"out={tmp_path / 'again'}"))
    train(configure(f"out={tmp_path / 'other'}", "seed=1"))
    _assert_same(_weights(finished), _weights(tmp_path / "again"))
    one, other = _weights(finished), _weights(tmp_path / "other")
    assert not torch.equal(one["network.film_time.weight"], other["network.film_time.weight"])


_PROGRAM = """
import os, sys
from mfpolicy.config import compose
from mfpolicy.policy import Policy
from mfpolicy.training import train

number, step, plain, calls = int(sys.argv[1]), int(sys.argv[2]), Policy.loss, 0

def stopped(self, batch, generator=None, **words):
    global calls
    calls += 1
    if calls == step:
        os.kill(os.getpid(), number)
    return plain(self, batch, generator, **words)

Policy.loss = stopped
print(train(compose("train", sys.argv[3:])).interrupted)
"""
STEPS, STOPPED = 30, 13


def _overrides(dataset: Path, out: Path) -> list[str]:
    return [
        f"task={TASK}",
        f"data={dataset}",
        f"out={out}",
        "policy=mp1_small",
        "policy.points=32",
        "network.widths=[16]",
        "encoder.widths=[16,16]",
        f"training.steps={STEPS}",
        "training.batch_size=16",
        "training.checkpoint_every=8",
        "training.log_every=1",
        "logging.wandb=disabled",
        "resume=true",
    ]


@pytest.fixture(scope="module")
def uninterrupted(dataset, tmp_path_factory):
    whole = tmp_path_factory.mktemp("whole") / "run"
    assert train(compose("train", _overrides(dataset, whole))).step == STEPS
    return _weights(whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(dataset, tmp_path, uninterrupted, number):
    """The signal comes in the middle of a step."""
    stopped = tmp_path / "stopped"
    words = [str(int(number)), str(STOPPED), *_overrides(dataset, stopped)]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *words],
        stdout=subprocess.PIPE, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == ("" if number == signal.SIGKILL else "True")
    assert done.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    kept = [_step(path) for path in (stopped / "training_state").iterdir()]
    assert max(kept) == (8 if number == signal.SIGKILL else STOPPED)
    assert train(compose("train", _overrides(dataset, stopped))).step == STEPS
    _assert_same(uninterrupted, _weights(stopped))
    lines = [json.loads(line) for line in (stopped / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))


def test_a_finished_run_resumed_stays_as_it_is(configure, run):
    before = _weights(run)
    assert train(configure("resume=true")).step == 12
    _assert_same(before, _weights(run))


LATER = ("fusion", "history", "clouds")


def test_a_finished_run_of_an_earlier_version_keeps_its_file(configure, run):
    """Evaluations and students know a policy by its file."""
    tensors, spec = _weights(run), read_spec(run).to_dict()
    del spec["auxiliary"]
    spec["encoder"] = {k: v for k, v in spec["encoder"].items() if k not in LATER}
    write_tensors(run / WEIGHTS, tensors, {SPEC_KEY: json.dumps(spec)})
    before = (run / WEIGHTS).read_bytes()
    train(configure("resume=true"))
    assert (run / WEIGHTS).read_bytes() == before
    name = next(iter(tensors))
    write_tensors(run / WEIGHTS, tensors | {name: tensors[name] + 1}, {SPEC_KEY: json.dumps(spec)})
    train(configure("resume=true"))
    _assert_same(tensors, _weights(run))


@pytest.mark.usefixtures("run")
def test_a_used_run_folder_is_refused(configure):
    with pytest.raises(RunError, match="resume=true"):
        train(configure())


def test_a_foreign_folder_is_refused(configure, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("precious")
    with pytest.raises(RunError, match="new or empty"):
        train(configure())
    assert (tmp_path / "run" / "thesis.tex").read_text() == "precious"


def test_data_of_another_task_are_refused_with_both_names(configure, tmp_path):
    other = write_dataset(tmp_path / "other.zarr", task="metaworld/reach")
    with pytest.raises(DataError, match="metaworld/drawer-open.*metaworld/reach"):
        train(configure(f"data={other}"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "error", "word"),
    [
        ("policy.points=64", DataError, "32"),
        ("training.batch_size=1000", ConfigError, "training.batch_size=80"),
        ("device=cuda:7", BackendError, "mfpolicy doctor"),
        ("network.widht=3", ConfigError, "width"),
        ("objective.time.p_end=2", ConfigError, "p_end"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    configure, tmp_path, override, error, word
):
    with pytest.raises(error, match=word):
        train(configure(override))
    assert not (tmp_path / "run").exists()


def poison_gradient(monkeypatch, *, at_step: int) -> None:
    """From this step on (the first is 1) the loss is not a number."""
    plain = Policy.loss
    calls = itertools.count(1)

    def poisoned(self, batch, generator=None, **words):
        loss, diagnostics = plain(self, batch, generator, **words)
        return loss * (float("nan") if next(calls) >= at_step else 1.0), diagnostics

    monkeypatch.setattr(Policy, "loss", poisoned)


def test_a_diverging_run_stops_and_names_the_last_good_checkpoint(configure, monkeypatch, tmp_path):
    good = "step-00000004"
    poison_gradient(monkeypatch, at_step=6)
    with pytest.raises(RunError, match=f"at step 6 it was not.*training_state/{good}"):
        train(configure("training.checkpoint_every=4", "training.log_every=4"))
    run = tmp_path / "run"
    assert [path.stem for path in (run / "training_state").iterdir()] == [good]
    assert all(weight.isfinite().all() for weight in _weights(run).values())


def test_the_batch_of_a_diverged_step_is_kept(configure, monkeypatch, tmp_path):
    poison_gradient(monkeypatch, at_step=6)
    with pytest.raises(RunError, match="the batch is in .*there is no checkpoint"):
        train(configure("training.checkpoint_every=100"))
    path = tmp_path / "run" / "diverged" / "step-00000006.safetensors"
    kept = load_file(path)
    assert kept.keys() >= {"point_cloud", "agent_pos", "action", "episode", "step"}
    config = configure()
    rows = BatchSampler(80, batch_size=16, seed=0).rows(5)
    windows = WindowDataset(
        open_dataset(config.data), n_obs_steps=2, horizon=4, n_action_steps=3, points=32
    )
    assert torch.equal(kept["action"], windows.batch(rows).action)
    assert torch.equal(kept["point_cloud"], windows.batch(rows).point_cloud)


def test_an_exploded_loss_stops_the_run(configure, tmp_path):
    with pytest.raises(RunError, match="below training.max_loss; at step 1 it was not"):
        train(configure("training.max_loss=1e-9"))


def test_gradient_clipping_is_applied(configure, tmp_path):
    """Adam is blind to the gradient's scale down to its epsilon: far below it nothing moves."""
    plain = ("training.steps=5", "training.warmup_steps=0", "training.weight_decay=0")
    first = train(configure("training.steps=1", "training.learning_rate=1e-12")).run
    clipped = (f"out={tmp_path / 'still'}", "training.grad_clip_norm=1e-14")
    still = train(configure(*plain, *clipped)).run
    moving = train(configure(*plain, f"out={tmp_path / 'moving'}")).run

    def moved(run: Path) -> float:
        start, end = _weights(first), _weights(run)
        return max(float((end[name] - start[name]).abs().max()) for name in start)

    assert moved(still) < 1e-6
    assert moved(moving) > 1e-3


def test_training_learns(configure):
    summary = train(configure("training.steps=150", "training.log_every=10"))
    lines = [json.loads(x) for x in (summary.run / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["mse"] < 0.5 * lines[0]["mse"]


def test_wandb_needs_no_account(configure, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", "")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    run = train(configure("logging.wandb=auto")).run
    assert list(run.glob("wandb/offline-run-*"))
    assert (run / "wandb_id").read_text()
