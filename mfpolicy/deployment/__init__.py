"""Deployment: from a trained policy to the chunk it decides, as fast as the machine allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mfpolicy.deployment.runtime import Runtime

__all__ = ["Runtime"]


def __getattr__(name: str) -> object:
    # the client of a policy server is imported where there is no torch
    if name == "Runtime":
        from mfpolicy.deployment.runtime import Runtime

        return Runtime
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
