"""Where a result comes from: the machine, the packages and the commit it was made with."""

from __future__ import annotations

from typing import Any

from mfpolicy.evaluation.machine import machine_facts, package_versions
from mfpolicy.versions import source_commit


def commit() -> str:
    """The commit that runs, ``-dirty`` where files changed since; ``unknown`` if git cannot say."""
    return source_commit() or "unknown"


def provenance() -> dict[str, Any]:
    """Facts of machine, versions of packages, and the commit."""
    return {
        "machine": machine_facts("cpu"), "packages": package_versions(), "commit": commit()
    }  # fmt: skip
