"""What the numbers were measured on: processor, accelerator, package versions."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from mfpolicy.evaluation.workers import available_cores
from mfpolicy.versions import installed_versions

PACKAGES = ("mfpolicy", "torch", "numpy", "gymnasium", "mujoco", "metaworld", "fpsample")


def machine_facts(device: str) -> dict[str, Any]:
    """Processor model and cores, and the name of the accelerator where one is used."""
    import torch

    facts: dict[str, Any] = {
        "cpu": _cpu_model(),
        "cores": available_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if torch.device(device).type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(torch.device(device))
    return facts


def package_versions() -> dict[str, str]:
    """Versions of the installed packages that can change a result."""
    return installed_versions(PACKAGES)


def _cpu_model() -> str:
    """The processor's name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
