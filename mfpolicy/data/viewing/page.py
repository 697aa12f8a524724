"""A page with the clouds of episodes that opens in any browser, without a network.

One file: the data in it as text, the program in it as well, and a policy (CSP) by which a browser
runs this program and nothing else. Whatever a dataset is called, it stays text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.reader import Dataset
from mfpolicy.data.viewing.episodes import ViewedEpisode
from mfpolicy.data.viewing.replacing import replaced
from mfpolicy.errors import DataError

MAX_BYTES = 256 << 20
"""A larger page makes browsers slow."""

_PARTS = Path(__file__).parent / "page_parts"
_SCRIPTS = ("scene.js", "curves.js", "page.js")
_GRID = 65534  # steps of the grid that coordinates are rounded to
_ABSENT = 65535  # in place of x: no point here


def write_page(
    dataset: Dataset, episodes: Iterable[ViewedEpisode], out: str | os.PathLike[str]
) -> Path:
    """Writes the page; a file that is there is replaced when the new one is complete.

    Coordinates are rounded to 1/65534 of the extent of the episode (15 µm for a metre), colors and
    curves are exact, camera images are JPEG.

    Args:
        dataset: what they are of.
        episodes: what to show.
        out: the file.

    Returns:
        Its path.

    Raises:
        DataError: the page would be too large, or the disk refuses.

    Example:
        >>> dataset = open_dataset("data/a.zarr")                             # doctest: +SKIP
        >>> write_page(dataset, viewed_episodes(dataset, [0]), "a.html")      # doctest: +SKIP
    """
    target = Path(out).expanduser()
    with replaced(target) as draft, draft.open("w", encoding="utf-8") as file:
        for part in _page(dataset, episodes):
            file.write(part)
            if file.tell() > MAX_BYTES:
                raise DataError(
                    f"a page may have {MAX_BYTES >> 20} MiB at most",
                    received=str(target),
                    remedy="show fewer episodes, points=… or every=…",
                )
    return target


def _page(dataset: Dataset, episodes: Iterable[ViewedEpisode]) -> Iterator[str]:
    template = (_PARTS / "page.html").read_text(encoding="utf-8")
    style = (_PARTS / "style.css").read_text(encoding="utf-8")
    script = "".join((_PARTS / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    head, tail = template.split("%(data)s")
    yield head % {
        "title": html.escape(dataset.path.resolve().name),
        "policy": f"default-src 'none'; img-src data:; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
        "style": style,
    }
    yield _block("dataset", _about(dataset))
    for episode in episodes:
        yield _block("episode", _content(episode), f' data-index="{episode.index}"')
    yield tail % {"script": script}


def _about(dataset: Dataset) -> dict[str, Any]:
    spec = dataset.spec
    recipe = spec.recipe
    return {
        "name": dataset.path.resolve().name,
        "task": spec.task,
        "expert": spec.expert,
        "rate_hz": spec.control_rate_hz,
        "episodes": dataset.episode_count,
        "box": None if recipe is None else [*recipe.crop_min, *recipe.crop_max],
        "eye": None if recipe is None else list(recipe.camera_position),
    }


def _content(episode: ViewedEpisode) -> dict[str, Any]:
    grid, low, extent = _rounded(episode.cloud)
    return {
        "index": episode.index,
        "seed": episode.seed,
        "success": episode.success,
        "length": episode.length,
        "steps": episode.steps.tolist(),
        "points": episode.cloud.shape[1],
        "low": low,
        "extent": extent,
        "grid": _GRID,
        "absent": _ABSENT,
        "cloud": _base64(grid.astype("<u2")),
        "color": None if episode.color is None else _base64(episode.color),
        "state": _base64(episode.state.astype("<f4")),
        "action": _base64(episode.action.astype("<f4")),
        "images": None if episode.image is None else [_jpeg(image) for image in episode.image],
    }


def _rounded(cloud: np.ndarray) -> tuple[np.ndarray, list[float], list[float]]:
    """The cloud (T, P, 3) on a grid of integers; and that grid's corner and extent."""
    finite = np.isfinite(cloud).all(axis=2)  # (T, P)
    seen = cloud[finite].astype(np.float64)
    low = seen.min(axis=0) if len(seen) else np.zeros(3)
    extent = (seen.max(axis=0) if len(seen) else np.ones(3)) - low
    extent = np.where(extent > 0, extent, 1.0)
    grid = np.full(cloud.shape, _ABSENT, np.uint16)
    grid[finite] = np.rint((seen - low) / extent * _GRID).astype(np.uint16)
    return grid, low.tolist(), extent.tolist()


def _block(kind: str, content: dict[str, Any], more: str = "") -> str:
    """Data in a page: no sign in it has a meaning in HTML."""
    text = json.dumps(_finite(content), allow_nan=False)  # ASCII
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" class="{kind}"{more}>{text}</script>\n'


def _finite(content: dict[str, Any]) -> dict[str, Any]:
    """Notes without NaN and infinity, which JSON does not have."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in content.items()
    }


def _jpeg(image: np.ndarray) -> str:
    import imageio.v3

    content = imageio.v3.imwrite("<bytes>", image, extension=".jpg", quality=85)
    return base64.b64encode(content).decode("ascii")


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
