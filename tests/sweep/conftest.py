from functools import partial
from pathlib import Path

import pytest

from oracles.demonstrations import TASK, write_dataset

STEPS = 6


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "drawer-open.zarr")


def small_words(dataset: Path, out: Path, *more: str) -> list[str]:
    """Words of a small sweep, later ones winning."""
    fixed = [
        f"task={TASK}",
        f"data={dataset}",
        f"out={out}",
        "policy=mp1_small",
        "threads=1",
        "policy.points=32",
        "network.widths=[16,16,16]",
        "encoder.widths=[16,16]",
        f"training.steps={STEPS}",
        "training.batch_size=8",
        "training.checkpoint_every=2",
        "training.log_every=2",
        "logging.wandb=disabled",
        *more,
    ]
    return list({word.partition("=")[0]: word for word in fixed}.values())


@pytest.fixture
def words(dataset, tmp_path):
    """Returns a function from further words to those of a small sweep."""
    return partial(small_words, dataset, tmp_path / "grid")
