"""Hands numbered jobs to one of Hydra's launchers: it decides where and when each of them runs."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfpolicy.config.composition import own_hydra
from mfpolicy.config.overrides import Override
from mfpolicy.errors import BackendError, ConfigError

PLUGINS = {
    "serial": ("basic", "hydra"),
    "joblib": ("joblib", "hydra_plugins.hydra_joblib_launcher"),
    "submitit_local": ("submitit_local", "hydra_plugins.hydra_submitit_launcher"),
    "submitit_slurm": ("submitit_slurm", "hydra_plugins.hydra_submitit_launcher"),
    "ray": ("ray", "hydra_plugins.hydra_ray_launcher"),
}
"""Launcher → its name among Hydra's, and the package that brings it."""
TOGETHER = "together"
"""The launcher that is none of Hydra's: its cells are threads of the sweep's own process."""


@dataclass(frozen=True)
class Job:
    """What a launcher calls, on this machine or another, with one job's configuration."""

    work: Callable[[int], None]

    def __call__(self, config: Any) -> None:
        """Does the work of the job's number."""
        self.work(int(config.job))


def check_installed(launcher: str) -> None:
    """Refuses a launcher whose package this installation lacks.

    Raises:
        BackendError: it lacks it.
    """
    if launcher != TOGETHER and not _found(PLUGINS[launcher][1]):
        raise BackendError(
            f"launcher={launcher} needs a package that is not installed",
            received=PLUGINS[launcher][1],
            remedy="pip install 'mfpolicy[sweep]'",
        )


def launch(
    work: Callable[[int], None],
    jobs: Sequence[int],
    launcher: Mapping[str, Any],
    folder: Path,
) -> dict[int, BaseException]:
    """Runs ``work(job)`` for each job and returns when the launcher has done so.

    Args:
        work: picklable; its return value is not used.
        jobs: numbers of the jobs.
        launcher: its name under ``name``, and the options of Hydra's plugin.
        folder: for what the launcher itself writes.

    Returns:
        The error of each job whose work raised one.

    Raises:
        BackendError: the launcher's package is missing.
        ConfigError: an option of the launcher does not fit.
        Exception: whatever the launcher raises when it cannot start jobs, or loses one.
    """
    from hydra import compose
    from hydra._internal.callbacks import Callbacks
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins
    from hydra.core.utils import JobStatus
    from hydra.types import HydraContext

    check_installed(launcher["name"])
    with own_hydra():
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        config = compose(None, _hydra_overrides(launcher["name"], folder), return_hydra_config=True)
        _set_options(config, launcher, folder)
        plugin = Plugins.instance().instantiate_launcher(
            hydra_context=HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks()),
            task_function=Job(work),
            config=config,
        )
        returns = plugin.launch([[f"+job={job}"] for job in jobs], initial_job_idx=0)
    return {
        job: returned._return_value  # the property would raise it
        for job, returned in zip(jobs, returns, strict=True)
        if returned.status is JobStatus.FAILED
    }


def _hydra_overrides(launcher: str, folder: Path) -> list[str]:
    """Hydra keeps to starting jobs: no log configuration and no files of its own."""
    return [
        f"hydra/launcher={PLUGINS[launcher][0]}",
        "hydra/hydra_logging=none",
        "hydra/job_logging=none",
        "hydra.output_subdir=null",
        Override("hydra.sweep.dir", str(folder)).quoted(),
        "hydra.sweep.subdir=.",
    ]


def _set_options(config: Any, launcher: Mapping[str, Any], folder: Path) -> None:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    options = {key: value for key, value in launcher.items() if key not in ("name", "job_name")}
    if "job_name" in launcher:
        options["name"] = launcher["job_name"]
        options["submitit_folder"] = str(folder / "submitit" / "%j")
    if "ray" in options:
        options["ray"] = _ray_options(options["ray"])
    for key, value in options.items():
        try:
            OmegaConf.update(config, f"hydra.launcher.{key}", value, force_add=True)
        except OmegaConfBaseException as error:
            raise ConfigError(
                f"launcher.{key} must have a value that the launcher can take",
                received=value,
                remedy=str(error).partition("\n")[0],
            ) from error


def _ray_options(ray: Mapping[str, Any]) -> dict[str, Any]:
    """Says where the cluster is: left alone, Ray would join whichever it finds on this machine.

    A running cluster has its memory; the plugin asks for some unless told that there is none. One
    that is started here for a sweep has no dashboard, which is some ten processes.
    """
    address = ray["init"].get("address") or os.environ.get("RAY_ADDRESS") or "local"
    here = {"include_dashboard": False}
    own = here if address == "local" else {"object_store_memory": None}
    return {**ray, "init": {**ray["init"], "address": address, **own}}


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
