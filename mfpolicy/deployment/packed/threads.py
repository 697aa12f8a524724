"""One loop compiled twice: for one thread, and for several."""

from __future__ import annotations

import os
import types
from collections.abc import Callable

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
    so that one is never taken for the other, the two have names of their own.
    """
    twin = types.FunctionType(function.__code__, function.__globals__, function.__name__)
    twin.__qualname__ = f"{function.__qualname__}_on_many"
    twin.__module__ = function.__module__
    one = njit(function, fastmath=True, cache=True)
    return one, njit(twin, fastmath=True, cache=True, parallel=True)
