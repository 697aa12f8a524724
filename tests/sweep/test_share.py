"""Cells that run at once never ask for more threads than there are cores."""

from __future__ import annotations

import pytest
import yaml

from mfpolicy.config.launching import PLUGINS
from mfpolicy.errors import ConfigError
from mfpolicy.paths import config_dir
from mfpolicy.sweep import share
from mfpolicy.sweep.share import share_of


def _options(launcher: str, **changed: object) -> dict:
    defaults = yaml.safe_load((config_dir() / "launcher" / f"{launcher}.yaml").read_text())
    return {**defaults, **changed}


@pytest.mark.parametrize("launcher", sorted(PLUGINS))
@pytest.mark.parametrize("cores", [1, 2, 7, 64])
@pytest.mark.parametrize("cells", [1, 3, 100])
def test_threads_of_all_cells_fit_the_cores(launcher, cores, cells, monkeypatch):
    monkeypatch.setattr(share, "available_cores", lambda: cores)
    got = share_of(_options(launcher), cells=cells, device="cpu")
    if got.at_once is not None and got.threads is not None:
        assert got.at_once <= cells
        assert got.at_once * got.threads <= cores
        assert got.at_once * (got.threads + 1) > cores or got.at_once == cells


def test_a_number_of_cells_at_once_is_kept_and_shares_the_cores(monkeypatch):
    monkeypatch.setattr(share, "available_cores", lambda: 8)
    assert share_of(_options("joblib", n_jobs=2), cells=9, device="cpu") == share.Share(2, 4)
    assert share_of(_options("joblib", n_jobs=16), cells=20, device="cpu") == share.Share(16, 1)
    assert share_of(_options("joblib", n_jobs=-1), cells=20, device="cpu") == share.Share(8, 1)


def test_a_cell_of_a_cluster_uses_the_cores_it_asked_for():
    slurm = share_of(_options("submitit_slurm", cpus_per_task=6), cells=9, device="cuda")
    assert slurm.threads == 6
    ray = _options("ray")
    ray["ray"]["remote"]["num_cpus"] = 3
    assert share_of(ray, cells=9, device="cuda").threads == 3


@pytest.mark.parametrize(
    ("launcher", "changed"),
    [
        ("joblib", {"n_jobs": 0}),
        ("joblib", {"n_jobs": -2}),
        ("joblib", {"n_jobs": "many"}),
        ("submitit_local", {"timeout_min": 0}),
        ("submitit_slurm", {"nodes": 2}),
        ("submitit_slurm", {"tasks_per_node": 4}),
        ("submitit_slurm", {"cpus_per_task": -1}),
    ],
)
def test_an_option_out_of_range_is_refused_by_its_name(launcher, changed):
    (key,) = changed
    with pytest.raises(ConfigError, match=f"launcher.{key} must be"):
        share_of(_options(launcher, **changed), cells=2, device="cpu")
