"""Where the shipped YAML files lie."""

from __future__ import annotations

from pathlib import Path

from mfpolicy.errors import RunError


def config_dir() -> Path:
    """Returns the folder of the shipped Hydra configuration.

    A wheel has it inside the package, a source checkout (editable install) beside it.

    Raises:
        RunError: neither place has it, so the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "configs", package.parent / "configs"):
        if (candidate / "train.yaml").is_file():
            return candidate
    raise RunError(
        "the installation must contain the configs folder",
        received=str(package),
        remedy="install mfpolicy again",
    )
