"""Augmented training: exact under a resume, off by default, and as it was where it is off."""

import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file

from mfpolicy.config import compose
from mfpolicy.data import WindowDataset, augment
from mfpolicy.errors import ConfigError, RunError
from mfpolicy.training import train
from mfpolicy.training.distributed import World
from mfpolicy.training.run_folder import claim_run_folder
from mfpolicy.training.several import describe_datasets, load_windows, open_datasets
from mfpolicy.training.train import _build
from mfpolicy.training.update import Update
from oracles.demonstrations import write_dataset

PLAIN = [name for name in augment.names() if name != "color_jitter"]  # the data have no colors
SHORT = ["training.steps=6", "training.checkpoint_every=4", "training.log_every=3"]
ALL = SHORT + [f"augment.{name}.enabled=true" for name in PLAIN]


def _weights(run):
    return load_file(run / "model.safetensors")


def _equal(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def updates(dataset, tmp_path_factory):
    """Returns a function from overrides to the update of a run's first steps."""

    def make(*overrides: str) -> Update:
        words = [f"data={dataset}", f"out={tmp_path_factory.mktemp('run')}", "policy.points=16"]
        words += ["task=metaworld/drawer-open", "network=unet1d_small", *overrides]
        words += ["network.widths=[16,16,16]"]
        config = compose("train", [*words, "encoder.widths=[8]", "training.batch_size=16"])
        datasets = open_datasets(config)
        windows, _ = load_windows(WindowDataset, datasets, config, torch.device("cpu"))
        claim = claim_run_folder(config, describe_datasets(datasets, config))
        policy = _build(config, datasets, windows, claim)
        return Update(policy, windows, config, World())

    return make


def test_a_resumed_run_ends_as_one_that_was_not_interrupted(configure, tmp_path):
    run = train(configure(*ALL)).run
    whole = _weights(run)
    stopped = shutil.copytree(run, tmp_path / "stopped")
    (stopped / "training_state" / "step-00000006.safetensors").unlink()
    (stopped / "model.safetensors").unlink()
    resumed = train(configure(*ALL, f"out={stopped}", "resume=true"))
    assert resumed.step == 6
    assert _equal(_weights(stopped), whole)
    with pytest.raises(RunError, match=r"augment.jitter.std_m: 0.002 -> 0.01"):
        train(configure(*ALL, "augment.jitter.std_m=0.01", "resume=true"))


def test_what_is_off_is_not_there(configure, tmp_path):
    """Its options change nothing, also not what a resume must keep; nor do options added since."""
    run = train(configure(*SHORT)).run
    saved = yaml.safe_load((run / "config.yaml").read_text())
    assert saved["augment"] == {}
    other = train(configure(*SHORT, "augment.jitter.std_m=0.5", f"out={tmp_path / 'other'}")).run
    assert _equal(_weights(run), _weights(other))
    del saved["augment"], saved["policy"]["color"]  # as versions without these wrote it
    (run / "config.yaml").write_text(yaml.safe_dump(saved))
    assert train(configure(*SHORT, "augment.jitter.std_m=0.5", "resume=true")).step == 6
    with pytest.raises(RunError, match=r"augment.jitter.enabled: None -> True"):
        train(configure(*SHORT, "augment.jitter.enabled=true", "resume=true"))


def test_without_augmentation_a_step_sees_the_windows_themselves(updates):
    update = updates()
    assert update.augmenter is None
    expected = update.windows.batch(update.sampler.rows(3))
    seen = vars(update.batch_of(3))
    assert seen.pop("task") is None
    for name, value in seen.items():
        assert torch.equal(value, getattr(expected, name))


@pytest.mark.parametrize("name", PLAIN)
def test_each_changes_what_is_learned_and_each_step_anew(updates, name):
    plain, changed = updates(), updates(f"augment.{name}.enabled=true")
    seen = changed.batch_of(3).point_cloud
    assert torch.equal(seen, changed.batch_of(3).point_cloud)
    assert not torch.equal(seen, plain.batch_of(3).point_cloud)
    same_rows = changed.sampler.rows(3)
    later = changed._piece(4, 0, same_rows).point_cloud
    assert not torch.equal(seen, later)
    assert not torch.equal(seen, changed._piece(3, 1, same_rows).point_cloud)
    losses = [float(update(3, total_steps=10)["loss"]) for update in (plain, changed)]
    assert losses[0] != losses[1]


def test_the_batch_on_record_is_the_one_that_was_seen(updates):
    """Pieces are augmented one by one; a processes' share of them is the same as one process's."""
    update = updates("augment.dropout.enabled=true", "training.micro_batches=2")
    whole = update.batch_of(5)
    rows = update.sampler.rows(5).chunk(2)
    pieces = [update._piece(5, n, own).point_cloud for n, own in enumerate(rows)]
    assert torch.equal(whole.point_cloud, torch.cat(pieces))
    shown = [set(own.tolist()) for own in whole.frame]
    assert sum(map(len, shown)) == len(set().union(*shown))  # no two windows show one frame


def test_what_does_not_fit_the_data_leaves_no_folder(configure, tmp_path):
    with pytest.raises(ConfigError, match=r"needs a policy that sees colors"):
        train(configure("augment.color_jitter.enabled=true"))
    joints = write_dataset(tmp_path / "door.zarr", task="adroit/door")
    door = ("task=adroit/door", f"data={joints}", "augment.rotation.enabled=true")
    with pytest.raises(ConfigError, match=r"its suite|the task's suite names none"):
        train(configure(*door))
    assert not (tmp_path / "run").exists()
    assert train(configure(*door, *SHORT, "augment.rotation.cloud_only=true")).step == 6
