"""The environments with ROS 2 that tests start processes in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def ros_environments() -> Path:
    """Their folder, made where it is missing: never skipped in silence."""
    folder = Path(os.environ.get("MFPOLICY_ROS", ROOT / ".ros"))
    missing = [n for n in ("jazzy", "kilted") if not (folder / n / "bin" / "python").exists()]
    if missing:
        script = ROOT / "scripts" / "ros_environments.sh"
        subprocess.run(
            ["bash", script, folder, *missing],
            check=True, timeout=1200, env={**os.environ, "PYTHON": sys.executable},
        )  # fmt: skip
    return folder
