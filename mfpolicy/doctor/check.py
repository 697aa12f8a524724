"""One finding of the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "optional", "warning", "missing"]


@dataclass(frozen=True)
class Check:
    """A finding: what was looked at, how it stands, and what to do.

    Attributes:
        name: what was looked at.
        status: ok; optional (absent, and something else does its job); warning (something works
            less well); missing (the main job cannot run).
        detail: what was found.
        remedy: what to do about it; empty where all is well.
    """

    name: str
    status: Status
    detail: str
    remedy: str = ""
