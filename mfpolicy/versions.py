"""Versions of installed packages, as records keep them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata


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
