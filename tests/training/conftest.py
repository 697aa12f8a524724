import shutil
from pathlib import Path

import pytest

from mfpolicy.config import TrainConfig, compose
from mfpolicy.training import train
from oracles.demonstrations import TASK, write_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "reach.zarr")


def small_config(dataset: Path, out: Path, *overrides: str) -> TrainConfig:
    """Of a small run, later overrides winning."""
    words = [
        f"task={TASK}",
        f"data={dataset}",
        f"out={out}",
        "policy=mp1_small",
        "policy.points=32",
        "network.widths=[16]",
        "encoder.widths=[16,16]",
        "training.steps=12",
        "training.batch_size=16",
        "training.checkpoint_every=5",
        "training.log_every=4",
        "logging.wandb=disabled",
        *overrides,
    ]
    return compose("train", list({word.split("=")[0]: word for word in words}.values()))


@pytest.fixture
def configure(dataset, tmp_path):
    """Returns a function from further overrides to a small run's configuration."""
    return lambda *overrides: small_config(dataset, tmp_path / "run", *overrides)


@pytest.fixture(scope="session")
def finished(dataset, tmp_path_factory):
    """A run that nothing stopped, not to be written to: checkpoints at 10 and 12."""
    return train(small_config(dataset, tmp_path_factory.mktemp("finished") / "run")).run


@pytest.fixture
def run(finished, tmp_path):
    """A copy of it, where ``configure`` puts its runs."""
    return shutil.copytree(finished, tmp_path / "run")
