"""The data of runs that train side by side: in memory once, however many runs read them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch

from mfpolicy.data import Dataset, WindowDataset
from mfpolicy.data.dataset import MEMORY_BUDGET_BYTES


class SharedWindows:
    """Makes windows as :class:`WindowDataset` does, over steps that are loaded once.

    Runs share the steps of a dataset if they take the same points and episodes on the same device;
    their windows may differ. The steps are freed with the last windows over them.

    Example:
        >>> load = SharedWindows()
        >>> sizes = {"n_obs_steps": 2, "horizon": 4, "n_action_steps": 3}
        >>> load(open_dataset("data/drawer-open.zarr"), **sizes)       # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps_of: WeakKeyDictionary[WindowDataset, tuple[object, ...]] = WeakKeyDictionary()

    def __call__(
        self,
        dataset: Dataset,
        *,
        n_obs_steps: int,
        horizon: int,
        n_action_steps: int,
        points: int | None = None,
        color: bool = False,
        device: str | torch.device = "cpu",
        episodes: Sequence[int] | None = None,
        memory_budget_bytes: int = MEMORY_BUDGET_BYTES,
    ) -> WindowDataset:
        """Returns windows; arguments and errors are those of :class:`WindowDataset`."""
        sizes = {"n_obs_steps": n_obs_steps, "horizon": horizon, "n_action_steps": n_action_steps}
        steps = (
            dataset.path.resolve(),
            dataset.episode_ends.tobytes(),
            dataset.spec.points if points is None else points,
            color,
            torch.device(device),
            None if episodes is None else tuple(episodes),
            memory_budget_bytes,
        )
        with self._lock:
            loaded = next((w for w, known in self._steps_of.items() if known == steps), None)
            if loaded is not None:
                windows = loaded.rewindowed(**sizes)
            else:
                windows = WindowDataset(
                    dataset,
                    **sizes,
                    points=points,
                    color=color,
                    device=device,
                    episodes=episodes,
                    memory_budget_bytes=memory_budget_bytes,
                )
                if windows.device.type == "cuda":  # the others read them on streams of their own
                    torch.cuda.synchronize(windows.device)
            self._steps_of[windows] = steps
        return windows
