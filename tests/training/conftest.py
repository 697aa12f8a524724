import pytest

from mfpolicy.config import compose
from oracles.demonstrations import TASK, write_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "reach.zarr")


@pytest.fixture
def configure(dataset, tmp_path):
    """Returns a function from further overrides to a small run's configuration."""

    def make(*overrides: str):
        words = [
            f"task={TASK}",
            f"data={dataset}",
            f"out={tmp_path / 'run'}",
            "policy=mp1_small",
            "policy.points=32",
            "network.widths=[16,16,16]",
            "encoder.widths=[16,16]",
            "training.steps=12",
            "training.batch_size=16",
            "training.checkpoint_every=5",
            "training.log_every=4",
            "logging.wandb=disabled",
            *overrides,
        ]
        return compose("train", list({word.split("=")[0]: word for word in words}.values()))

    return make
