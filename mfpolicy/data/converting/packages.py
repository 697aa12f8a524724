"""Packages that only some formats need, asked for when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from mfpolicy.errors import BackendError


def required(module: str, purpose: str) -> Any:
    """Imports ``module``.

    Args:
        module: import name of a package of the extra ``convert``.
        purpose: what needs it, as the subject of a sentence.

    Raises:
        BackendError: it is not installed.

    Example:
        >>> required("json", "JSON").loads("1")
        1
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BackendError(
            f"{purpose} needs the package {module.partition('.')[0]}",
            received=str(error),
            remedy="pip install 'mfpolicy[convert]'",
        ) from error
