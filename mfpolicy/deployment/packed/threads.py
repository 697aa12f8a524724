"""One loop compiled twice: for one thread, and for several."""

from __future__ import annotations

import functools
import hashlib
import os
import types
from collections.abc import Callable
from pathlib import Path

import numba
from numba import njit


def prefer_openmp() -> None:
    """Lets numba share loops by OpenMP, unless ``NUMBA_THREADING_LAYER_PRIORITY`` says otherwise.

    Left alone it tries TBB first, and warns in every process where open3d has loaded its own,
    which is too old for numba.
    """
    if "NUMBA_THREADING_LAYER_PRIORITY" not in os.environ:
        numba.config.THREADING_LAYER_PRIORITY = ["omp", "workqueue", "tbb"]  # type: ignore[attr-defined]


def on_one_and_on_many(
    function: Callable[..., None],
) -> tuple[Callable[..., None], Callable[..., None]]:
    """Returns a loop over ``prange`` compiled for one thread, and for as many as numba is set to.

    Compiled code is kept on disk under the name of the function, whatever the number of threads:
    so that one is never taken for the other, the two have names of their own. The names hold a
    digest of this package, since numba looks at a change of the function's own file alone, and
    not of those whose functions it calls.
    """
    one, many = (_named(function, f"_on_{which}_{_digest()}") for which in ("one", "many"))
    return njit(one, fastmath=True, cache=True), njit(
        many, fastmath=True, cache=True, parallel=True
    )


def _named(function: Callable[..., None], ending: str) -> Callable[..., None]:
    twin = types.FunctionType(function.__code__, function.__globals__, function.__name__)
    twin.__qualname__ = function.__qualname__ + ending
    twin.__module__ = function.__module__
    return twin


@functools.cache
def _digest() -> str:
    """Of the source of all files that compiled loops may be of."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
