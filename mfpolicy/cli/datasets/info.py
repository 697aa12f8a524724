"""``mfpolicy data info``: what a dataset holds, in the terminal or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from mfpolicy.cli.console import output, print_rows, progress_bar
from mfpolicy.cli.datasets import VERBS
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import DataInfoConfig, compose
from mfpolicy.types import APART

if TYPE_CHECKING:
    from rich.console import Console

_BARS = " ▁▂▃▄▅▆▇█"
_MOST_ROWS = 40


def run(words: Sequence[str]) -> int:
    """Shows the dataset that the words name."""
    if answers_itself("data info", words, what=VERBS["info"]):
        return 0
    config: DataInfoConfig = compose("data info", words)
    from mfpolicy.data.summary import summarize

    with progress_bar("read", None, "") as show:
        summary = summarize(
            config.dataset,
            values=config.values,
            bins=config.bins,
            progress=lambda done, all, array: show(done, array, all),
        )
    if config.json:
        print(json.dumps(summary, indent=2))
    else:
        _print(output(), summary)
    return 0


def _print(console: Console, summary: dict[str, Any]) -> None:
    from mfpolicy.data.inside import plain

    print_rows(console, [(name, plain(value, 2000)) for name, value in _facts(summary)])
    console.print()
    console.print(_arrays(summary["arrays"]))
    ranges = _ranges(summary)
    if ranges is not None:
        console.print()
        console.print(ranges)


def _facts(summary: dict[str, Any]) -> list[tuple[str, str]]:
    episodes, sizes, rate = summary["episodes"], summary["bytes"], summary["control_rate_hz"]
    version = summary["schema_version"]
    schema = "" if version is None else f", schema version {version}"
    seconds = episodes["seconds"]
    known = episodes["successes"]
    ratio = sizes["raw"] / max(1, sizes["stored"])
    return [
        ("dataset", summary["path"]),
        ("kind", f"{summary['kind']}, zarr format {summary['zarr_format']}{schema}"),
        ("task", summary["task"] or "not known"),
        ("expert", summary["expert"] or "not known"),
        ("episodes", f"{episodes['count']}, of {episodes['shortest']} to {episodes['longest']} "
                     f"steps, median {episodes['median']:g}"),
        ("steps", f"{episodes['steps']}" + (f", {seconds:.1f} s" if seconds is not None else "")),
        ("success", "not known" if known is None else f"{known} of {episodes['count']}"),
        ("control rate", "not known" if rate is None else f"{rate:g} Hz"),
        *_frame(summary),
        ("size", f"{_size(sizes['stored'])} on disk, {_size(sizes['raw'])} raw ({ratio:.1f} : 1)"),
    ]  # fmt: skip


def _frame(summary: dict[str, Any]) -> list[tuple[str, str]]:
    recipe, camera = summary["recipe"], summary["camera"] or {}
    if recipe is None:
        return [("frame", "not known: the dataset names no recipe")]
    views = [recipe, *recipe.get("further_cameras", ())]
    further = camera.get("further_cameras")
    places = [camera, *(further if isinstance(further, list) else ())]
    several = ""
    if recipe.get("clouds") == APART:
        several = f", {recipe['points'] // len(views)} of each camera in turns"
    elif len(views) > 1:
        several = f" of the points of {len(views)} cameras"
    size = recipe["image_size"]
    pixels = f"{size} × {size} pixels, " if size else ""
    return [
        ("frame", f"{recipe['frame']}, metres; crop {recipe['crop_min']} to {recipe['crop_max']}"),
        *[("camera", f"{view['camera']} at {view['camera_position']}, {pixels}"
                     + ("pose stored" if "T_world_cam" in (placed or ()) else "pose not stored"))
          for view, placed in zip_longest(views, places, fillvalue={}) if view],
        ("points", f"{recipe['points']} by {recipe['sampling']}{several}"),
    ]  # fmt: skip


def _arrays(arrays: dict[str, Any]):
    from rich.table import Table

    table = Table("array", "shape", "type", "chunks", "codecs", "raw", "on disk", box=None)
    for name, facts in arrays.items():
        table.add_row(
            name, " × ".join(map(str, facts["shape"])), facts["dtype"],
            " × ".join(map(str, facts["chunks"])), " ".join(facts["codecs"]),
            _size(facts["raw_bytes"]), _size(facts["stored_bytes"]),
        )  # fmt: skip
    return table


def _ranges(summary: dict[str, Any]):
    """Ranges of each channel, with the histogram of those of the action; None if none was read."""
    from rich.table import Table

    table = Table("channel", "min", "max", "mean", "std", "not finite", "values", box=None)
    for name, facts in summary["arrays"].items():
        channels = len(facts.get("min", []))
        for channel in range(min(channels, _MOST_ROWS)):
            numbers = [_number(facts[key][channel]) for key in ("min", "max", "mean", "std")]
            bars = ""
            if name == "action" and summary["actions"]:
                bars = _histogram(summary["actions"][channel]["counts"])
            odd = str(facts["not_finite"]) if channel == 0 else ""
            label = "xyzrgb"[channel] if name == "point_cloud" else str(channel)
            table.add_row(f"{name} {label}", *numbers, odd, bars)
        if channels > _MOST_ROWS:
            table.add_row(f"{name} …", f"{channels - _MOST_ROWS} more, see json=true")
    return table if table.row_count else None


def _histogram(counts: Sequence[int]) -> str:
    most = max(max(counts), 1)
    # What occurs at all is seen.
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in counts)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
