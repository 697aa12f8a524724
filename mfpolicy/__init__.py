"""One-step MeanFlow policies from point clouds.

Demonstrations → zarr → batch → condition → one network evaluation → action chunk.

Nothing heavy is imported until a name is used, so ``import mfpolicy`` costs milliseconds:

    >>> import mfpolicy
    >>> policy = mfpolicy.build_policy("mp1_small", point_dim=3, state_dim=9, action_dim=4)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfpolicy import encoders, networks, objectives
    from mfpolicy.policy import load_policy
    from mfpolicy.presets import build_policy

__version__ = "0.1.0"

__all__ = ["build_policy", "encoders", "load_policy", "networks", "objectives"]

_FUNCTIONS = {"build_policy": "mfpolicy.presets", "load_policy": "mfpolicy.policy"}
_SUBMODULES = ("encoders", "networks", "objectives")


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"mfpolicy.{name}")
    raise AttributeError(f"module 'mfpolicy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
