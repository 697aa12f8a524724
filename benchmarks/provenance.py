"""Where a result comes from: the machine, the packages and the commit it was made with."""

from __future__ import annotations

import subprocess
from typing import Any

from mfpolicy.evaluation.machine import machine_facts, package_versions


def commit() -> str:
    """The commit that is checked out here, shortened; ``unknown`` where git cannot say."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def provenance() -> dict[str, Any]:
    """Facts of machine, versions of packages, and the commit."""
    return {
        "machine": machine_facts("cpu"), "packages": package_versions(), "commit": commit()
    }  # fmt: skip
