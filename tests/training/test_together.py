"""Runs trained at once in one process: each is the run that it would be alone."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mfpolicy.config import compose
from mfpolicy.data import Normalizer
from mfpolicy.errors import ConfigError, DataError, RunError
from mfpolicy.paths import config_dir
from mfpolicy.policy import load_policy
from mfpolicy.training import TogetherError, train, train_together
from mfpolicy.training.loop import Trainer
from mfpolicy.training.shared_windows import SharedWindows
from oracles.demonstrations import TASK, write_dataset

OBJECTIVES = sorted(path.stem for path in (config_dir() / "objective").glob("*.yaml"))
OTHER_TASK = "metaworld/reach"


@pytest.fixture(scope="module")
def other_dataset(tmp_path_factory):
    """Of another task, with one action dimension more."""
    path = tmp_path_factory.mktemp("data") / "other.zarr"
    return write_dataset(path, first_seed=7, task=OTHER_TASK, action_dim=5)


def _weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def _assert_same_runs(left: Path, right: Path) -> None:
    one, other = _weights(left), _weights(right)
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    logs = [
        [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        for run in (left, right)
    ]
    for line in (*logs[0], *logs[1]):
        del line["samples_per_s"]
    assert logs[0] == logs[1]


def test_every_objective_trains_beside_the_others_as_it_does_alone(
    configure, other_dataset, tmp_path
):
    """Half of them on another task with other dimensions, windows and batches."""

    def configs(folder: str):
        for number, name in enumerate(OBJECTIVES):
            words = [f"objective={name}", f"out={tmp_path / folder / name}", f"seed={number}"]
            words += ["training.steps=3", "training.log_every=2", "network.widths=[8,16]"]
            if number % 2:
                words += [f"data={other_dataset}", f"task={OTHER_TASK}", "policy.horizon=8"]
                words += ["policy.n_action_steps=6", "training.batch_size=9"]
            yield configure(*words)

    together = train_together(list(configs("together")), workers=4)
    assert [summary.run.name for summary in together] == OBJECTIVES
    for summary, config in zip(together, configs("alone"), strict=True):
        alone = train(config)
        assert (summary.step, summary.loss) == (3, alone.loss)
        _assert_same_runs(summary.run, alone.run)


def test_runs_really_are_under_way_at_the_same_time(configure, tmp_path, monkeypatch):
    one_step, meeting = Trainer._one_step, threading.Barrier(3, timeout=60)

    def step_with_all(self):
        meeting.wait()  # breaks unless three runs take this step at this moment
        return one_step(self)

    monkeypatch.setattr(Trainer, "_one_step", step_with_all)
    summaries = train_together(
        [configure(f"out={tmp_path / str(seed)}", f"seed={seed}") for seed in range(3)], workers=3
    )
    assert [summary.step for summary in summaries] == [12, 12, 12]


@pytest.mark.parametrize(("workers", "share"), [(2, 2), (3, 1), (8, 1)])
def test_runs_share_the_threads_of_torch(configure, tmp_path, monkeypatch, workers, share):
    one_step, seen = Trainer._one_step, set()

    def note_threads(self):
        seen.add(torch.get_num_threads())
        return one_step(self)

    monkeypatch.setattr(Trainer, "_one_step", note_threads)
    words = ("training.steps=1", "training.checkpoint_every=1")
    configs = [configure(f"out={tmp_path / str(n)}", *words) for n in range(4)]
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    try:
        train_together(configs, workers=workers)
        assert torch.get_num_threads() == 5
    finally:
        torch.set_num_threads(before)
    assert seen == {share}


def test_a_run_that_fails_stops_no_other_and_is_named_at_the_end(configure, tmp_path):
    def out(name: str) -> str:
        return f"out={tmp_path / name}"

    diverging = ("training.learning_rate=1e30", "training.warmup_steps=0")
    configs = [
        configure(out("diverging"), *diverging),
        configure(out("healthy")),
        configure(out("astray"), f"data={tmp_path / 'nowhere.zarr'}"),
        configure(out("last"), "seed=1"),
    ]
    with pytest.raises(TogetherError, match="but 2 failed") as caught:
        train_together(configs, workers=2)
    message = str(caught.value)
    assert str(tmp_path / "diverging") in message
    assert "nowhere.zarr" in message
    diverged, healthy, astray, last = caught.value.outcomes
    assert isinstance(diverged, RunError)
    assert isinstance(astray, DataError)
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert caught.value.__cause__.exceptions == (diverged, astray)
    assert (healthy.step, last.step) == (12, 12)
    _assert_same_runs(healthy.run, train(configure()).run)


def test_an_unforeseen_error_is_kept_with_its_type(configure, tmp_path, monkeypatch):
    one_step = Trainer._one_step

    def broken(self):
        if self.config.seed == 1:
            raise MemoryError("out of memory")
        return one_step(self)

    monkeypatch.setattr(Trainer, "_one_step", broken)
    configs = [configure(f"out={tmp_path / str(n)}", f"seed={n}") for n in range(2)]
    with pytest.raises(TogetherError, match=r"MemoryError\('out of memory'\)") as caught:
        train_together(configs, workers=2)
    assert caught.value.outcomes[0].step == 12


def test_a_wrapped_training_sees_every_run(configure, tmp_path):
    seen = []

    def noted(config, **options):
        seen.append(config.seed)
        return train(config, **options)

    configs = [configure(f"out={tmp_path / str(n)}", f"seed={n}") for n in range(3)]
    assert [run.step for run in train_together(configs, workers=2, each=noted)] == [12] * 3
    assert sorted(seen) == [0, 1, 2]


_PROGRAM = """
import sys
from mfpolicy.config import compose
from mfpolicy.training import train_together
runs = [compose("train", words.split("|")) for words in sys.argv[1:]]
print([summary.interrupted for summary in train_together(runs, workers=2)])
"""


def _words(dataset: Path, out: Path, seed: int) -> list[str]:
    return [
        *(f"task={TASK}", f"data={dataset}", f"out={out}", f"seed={seed}", "resume=true"),
        *("policy=mp1_small", "policy.points=32", "network.widths=[16,16,16]"),
        *("encoder.widths=[16,16]", f"training.steps={STEPS}", "training.batch_size=16"),
        *("training.log_every=1", "logging.wandb=disabled"),
    ]


STEPS, STOPPED = 40, ("first", "second", "third")


@pytest.fixture(scope="module")
def uninterrupted(dataset, tmp_path_factory):
    """Of the first run and the last, each alone."""
    folder = tmp_path_factory.mktemp("whole")
    return {
        seed: train(compose("train", _words(dataset, folder / str(seed), seed))).run
        for seed in (0, 2)
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_all_and_a_resume_goes_on_exactly(dataset, tmp_path, uninterrupted, number):
    """Two are under way, the third has not begun."""
    runs = [_words(dataset, tmp_path / name, seed) for seed, name in enumerate(STOPPED)]
    command = [sys.executable, "-c", _PROGRAM, *["|".join(words) for words in runs]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for name in STOPPED[:2]:
        metrics, deadline = tmp_path / name / "metrics.jsonl", time.monotonic() + 120
        while not metrics.is_file() or metrics.read_text().count("\n") < 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    process.send_signal(number)
    assert process.communicate(timeout=120)[0].strip() == "[True, True, True]"
    assert process.returncode == 0
    for name in STOPPED[:2]:
        assert list((tmp_path / name / "training_state").iterdir())
    assert not (tmp_path / STOPPED[2]).exists()

    resumed = train_together([compose("train", words) for words in runs], workers=2)
    assert [summary.step for summary in resumed] == [STEPS] * 3
    for seed, whole in uninterrupted.items():
        _assert_same_runs(resumed[seed].run, whole)


def test_a_policy_loaded_meanwhile_leaves_initial_weights_alone(configure, tmp_path, monkeypatch):
    """As a run does whose teacher is ready while another run is built."""
    alone, fit, others = train(configure("training.steps=1")).run, Normalizer.fit, []

    def fit_in_company(windows):
        others.append(threading.Thread(target=load_policy, args=(alone,)))
        others[-1].start()
        others[-1].join(0.5)
        return fit(windows)

    monkeypatch.setattr(Normalizer, "fit", fit_in_company)
    beside = train(configure("training.steps=1", f"out={tmp_path / 'beside'}")).run
    for other in others:
        other.join()
    assert others
    _assert_same_runs(alone, beside)


def test_runs_over_one_dataset_hold_it_in_memory_once(configure, tmp_path, monkeypatch):
    given, load = [], SharedWindows.__call__

    def note(self, *arguments, **options):
        given.append(load(self, *arguments, **options))
        return given[-1]

    monkeypatch.setattr(SharedWindows, "__call__", note)
    longer = ("policy.horizon=8", "policy.n_action_steps=6")
    train_together(
        [
            configure(f"out={tmp_path / 'a'}"),
            configure(f"out={tmp_path / 'b'}", "seed=1", *longer),
            configure(f"out={tmp_path / 'c'}", "policy.points=16"),
        ],
        workers=1,
    )
    clouds = [windows._clouds.data_ptr() for windows in given]
    assert clouds[0] == clouds[1] != clouds[2]
    assert given[0].batch(torch.tensor([3])).action.shape[1] == 4
    assert given[1].batch(torch.tensor([3])).action.shape[1] == 8


def test_data_that_no_run_holds_any_more_are_freed(dataset):
    from mfpolicy.data import open_dataset

    sizes = {"n_obs_steps": 2, "horizon": 4, "n_action_steps": 3}
    load, opened = SharedWindows(), open_dataset(dataset)
    first = load(opened, **sizes)
    clouds, second = first._clouds, load(opened, **sizes)
    del first
    assert load(opened, **sizes)._clouds is clouds
    del second
    assert load(opened, **sizes)._clouds is not clouds


def test_every_run_logs_to_a_wandb_run_of_its_own(configure, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    configs = [
        configure(f"out={tmp_path / str(n)}", f"seed={n}", "logging.wandb=auto") for n in range(2)
    ]
    runs = [summary.run for summary in train_together(configs, workers=2)]
    for run in runs:
        identity = (run / "wandb_id").read_text()
        (folder,) = run.glob("wandb/offline-run-*")
        assert folder.name.endswith(identity)
        assert (folder / f"run-{identity}.wandb").stat().st_size > 0


@pytest.mark.parametrize("workers", [0, -1])
def test_workers_below_one_are_refused(configure, workers):
    with pytest.raises(ConfigError, match="workers must be at least 1"):
        train_together([configure()], workers=workers)


def test_no_run_at_all_is_refused():
    with pytest.raises(ConfigError, match="at least one run"):
        train_together([])


def test_two_runs_in_one_folder_are_refused_before_anything_is_written(configure, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    same = f"out={tmp_path / 'link' / 'run'}"
    with pytest.raises(ConfigError, match="a folder of its own"):
        train_together([configure(), configure("seed=1", same)])
    assert not (tmp_path / "run").exists()


def test_compiled_runs_are_refused_side_by_side(configure, tmp_path):
    configs = [configure(f"out={tmp_path / str(n)}", "training.compile=default") for n in range(2)]
    with pytest.raises(ConfigError, match="must not be compiled"):
        train_together(configs, workers=2)


def test_torchrun_is_refused(configure, monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="without torchrun"):
        train_together([configure()])
