"""Versions of installed packages and the commit of this one, as records keep them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Returns the version of each package by name; one that is not installed is left out.

    Example:
        >>> sorted(installed_versions(["numpy", "no-such-package"]))
        ['numpy']
    """
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def source_commit() -> str | None:
    """The commit this package runs from, with ``-dirty`` where files changed since; or None.

    None is an installed package, or a machine without git.
    """
    root = Path(__file__).resolve().parent
    try:
        _git(root, "ls-files", "--error-unmatch", "__init__.py")
        return _git(root, "describe", "--always", "--dirty", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()
