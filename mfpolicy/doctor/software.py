"""Python, packages and import names, from their metadata alone: nothing is imported."""

from __future__ import annotations

import importlib.metadata as metadata
import importlib.util
import platform
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import mfpolicy
from mfpolicy.doctor.check import Check

DISTRIBUTION = "mfpolicy"
REINSTALL = "pip install -c constraints.txt -e ."


def check_python() -> Check:
    """The interpreter is one that the package supports."""
    version = platform.python_version()
    found = f"Python {version}, {platform.platform(terse=True)}, {platform.machine()}"
    try:
        supported = metadata.metadata(DISTRIBUTION)["Requires-Python"]
    except metadata.PackageNotFoundError:
        return Check("python", "ok", found)
    if SpecifierSet(supported).contains(version, prereleases=True):
        return Check("python", "ok", f"{found} (supported: {supported})")
    return Check("python", "missing", found, f"use a Python {supported}")


def check_packages(distribution: str = DISTRIBUTION) -> list[Check]:
    """Every package that ``distribution`` needs is installed at a version it was measured with."""
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return [
            Check(distribution, "missing", "runs from a folder, not installed", REINSTALL),
        ]
    checks = [Check(distribution, "ok", version)]
    for line in metadata.requires(distribution) or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            checks.append(_check_requirement(requirement))
    return checks


def check_physics_pair() -> Check:
    """The installed mujoco is the one that the installed metaworld asks for."""
    name = "mujoco for metaworld"
    try:
        wanted = next(
            requirement
            for requirement in map(Requirement, metadata.requires("metaworld") or [])
            if requirement.name == "mujoco"
        )
        pair = f"mujoco {metadata.version('mujoco')}, metaworld {metadata.version('metaworld')}"
    except (metadata.PackageNotFoundError, StopIteration):
        return Check(name, "missing", "metaworld or mujoco is not installed", REINSTALL)
    if wanted.specifier.contains(metadata.version("mujoco")):
        return Check(name, "ok", f"{pair} (asks for mujoco{wanted.specifier})")
    detail = f"{pair}, which asks for mujoco{wanted.specifier}: physics nobody has measured"
    return Check(name, "missing", detail, f"pip install 'mujoco{wanted.specifier}'")


def check_import_name(name: str) -> Check:
    """The top-level package ``name`` is ours: it lies beside the package mfpolicy.

    The package index has unrelated distributions with the names of some of our packages.
    """
    ours = Path(mfpolicy.__file__).resolve().parent.parent
    spec = importlib.util.find_spec(name)
    places = [Path(p).resolve() for p in (spec and spec.submodule_search_locations) or []]
    if ours / name in places:
        return Check(f"import {name}", "ok", str(ours / name))
    found = str(places[0]) if places else "a module" if spec else "nothing"
    others = [
        other
        for other in metadata.packages_distributions().get(name, [])
        if other.lower() != DISTRIBUTION
    ]
    remedy = f"pip uninstall {' '.join(others)}" if others else REINSTALL
    detail = f"resolves to {found}, not to {ours / name}"
    return Check(f"import {name}", "missing", detail, remedy)


def _check_requirement(requirement: Requirement) -> Check:
    remedy = f"pip install '{requirement.name}{requirement.specifier}'"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Check(requirement.name, "missing", "not installed", remedy)
    if requirement.specifier.contains(version, prereleases=True):
        return Check(requirement.name, "ok", version)
    detail = f"{version}, measured with {requirement.specifier}"
    return Check(requirement.name, "missing", detail, remedy)
