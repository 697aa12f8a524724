"""What there is to see of an episode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mfpolicy.data.reader import Dataset
from mfpolicy.errors import ConfigError

_IMAGES = ("image", "img")  # ours, and DP3's


@dataclass(frozen=True)
class ViewedEpisode:
    """T shown steps of one episode.

    Attributes:
        index: number of the episode. seed, success: of it, None where the dataset does not say.
        length: L, all its steps.
        steps: (T,) int64, the numbers of the shown ones.
        cloud: (T, P, 3) float32, metres, as stored; may hold NaN where the dataset does.
        color: (T, P, 3) uint8, or None.
        image: (T, H, W, 3) uint8 of the camera, or None.
        state: (T, S) float32. action: (T, A) float32.
    """

    index: int
    seed: int | None
    success: bool | None
    length: int
    steps: np.ndarray
    cloud: np.ndarray
    color: np.ndarray | None
    image: np.ndarray | None
    state: np.ndarray
    action: np.ndarray


def viewed_episodes(
    dataset: Dataset, episodes: Sequence[int], *, points: int | None = None, every: int = 1
) -> Iterator[ViewedEpisode]:
    """Reads the chosen episodes, one after the other.

    Args:
        dataset: ours, or one of the DP3 family.
        episodes: their indices.
        points: length of the prefix of every cloud; None takes all points.
        every: show every so many steps.

    Raises:
        ConfigError: there are not so many points.
        DataError: an episode does not exist, or a chunk is damaged.

    Example:
        >>> dataset = open_dataset("data/drawer-open.zarr")          # doctest: +SKIP
        >>> next(viewed_episodes(dataset, [0])).cloud.shape          # doctest: +SKIP
        (97, 512, 3)
    """
    if points is not None and not 1 <= points <= dataset.spec.points:
        raise ConfigError(
            f"points must be among 1 and the {dataset.spec.points} that are stored", received=points
        )
    rows, image = slice(None, None, every), _image_name(dataset)
    for index in episodes:
        start, stop = dataset.bounds(index)
        episode = dataset.episode(index, extras=[image] if image else [])
        yield ViewedEpisode(
            index=index,
            seed=episode.seed,
            success=episode.success,
            length=stop - start,
            steps=np.arange(stop - start)[rows],
            cloud=episode.point_cloud[rows, :points],
            color=None if episode.color is None else episode.color[rows, :points],
            image=episode.extras[image][rows] if image else None,
            state=episode.agent_pos[rows],
            action=episode.action[rows],
        )


def _image_name(dataset: Dataset) -> str | None:
    """The array of the camera's pictures, (N, H, W, 3) uint8."""
    for name in _IMAGES:
        if name in dataset.array_names:
            array = dataset.array(name)
            if array.ndim == 4 and array.shape[3] == 3 and array.dtype == np.uint8:
                return name
    return None
