"""Repair: what is sound of a damaged dataset as a new one, and a list of what was done to it."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mfpolicy.data.apart import require_apart
from mfpolicy.data.checking.check import CheckReport
from mfpolicy.data.checking.findings import CODES
from mfpolicy.data.checking.survey import Survey
from mfpolicy.data.episode import Episode, colors_of_floats
from mfpolicy.data.schema import REQUIRED_ARRAYS, DatasetSpec
from mfpolicy.data.structure import dimensions
from mfpolicy.data.writer import DatasetWriter
from mfpolicy.errors import DataError


@dataclass(frozen=True)
class RepairReport:
    """What a repair did.

    Attributes:
        path: the new dataset. episodes, steps: in it. actions: each thing that was done, in words.
    """

    path: Path
    episodes: int
    steps: int
    actions: list[str]


def repair(
    report: CheckReport,
    out: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> RepairReport:
    """Writes what is sound of the dataset that ``report`` is about to ``out``.

    Only errors are mended, and only so: episodes with an error are left out; arrays that cannot be
    read are left out, unless training needs them; so are colors that are not 8 bits a channel;
    points of a unit that is certain are converted to metres; ends, lengths and attributes are
    written anew. Warnings are left as they are. The source is not touched, and ``out`` appears when
    it is complete. An episode is in memory at a time.

    Args:
        report: of :func:`~mfpolicy.data.checking.check.check_dataset`.
        out: folder of the new dataset.
        progress: called after each episode with how many are done and how many there are.

    Raises:
        DataError: an array that training needs cannot be read, no episode is left, ``out`` exists
            or lies in the dataset, or the disk refuses.

    Example:
        >>> report = check_dataset("data/damaged.zarr")                 # doctest: +SKIP
        >>> repair(report, "data/mended.zarr").actions                  # doctest: +SKIP
        ['episode 3 left out: nan in data/state at step 17']
    """
    found = report.survey
    target = Path(out).expanduser().resolve()
    if found is None:
        raise DataError("a repair needs the report of a check made here", received=str(report.path))
    _require_free(target, report.path.resolve())
    _require_mendable(report, found)
    kept = [e for e in range(found.episode_count) if e not in report.spoilt]
    if not kept:
        raise DataError(
            "a repaired dataset must have at least one episode, but each has an error",
            received=f"{found.episode_count} episodes in {report.path}",
            remedy="look at the findings; limits may be too narrow",
        )
    actions = _actions(report, found)
    spec = _spec(found, report, actions)
    draft = target.with_name(f".{target.name}.repair")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        with DatasetWriter.open(draft, spec) as writer:
            for done, index in enumerate(kept):
                writer.append(_episode(found, index, report.factors.get(index)))
                if progress is not None:
                    progress(done + 1, len(kept))
            episodes, steps = writer.episode_count, writer.step_count
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return RepairReport(target, episodes, steps, actions)


def _require_free(target: Path, source: Path) -> None:
    require_apart([source], target)
    if target.exists():
        raise DataError(
            "a repaired dataset needs a path of its own",
            received=str(target),
            remedy="write to another path",
        )


def _require_mendable(report: CheckReport, found: Survey) -> None:
    lost = [f"data/{name}" for name in REQUIRED_ARRAYS if name not in found.arrays]
    if lost:
        raise DataError(
            "a repair needs the arrays that training reads",
            received=f"{', '.join(lost)} of {found.root} cannot be read",
            remedy="restore them from a copy",
        )
    whole = [
        finding.code
        for finding in report.findings
        if CODES[finding.code].fix == "drop episode" and finding.episode is None
    ]
    if whole:
        raise DataError(
            "a repair leaves out episodes, but these errors are of the whole dataset",
            received=", ".join(sorted(set(whole))),
            remedy="look at what the check says of them",
        )


def _actions(report: CheckReport, found: Survey) -> list[str]:
    """What will be done about each error, in words."""
    reasons: dict[int, list[str]] = {}
    actions = []
    for finding in report.findings:
        fix = CODES[finding.code].fix
        place = f" in {finding.array}" if finding.array else ""
        if fix == "drop array":
            actions.append(f"{finding.array} left out: {finding.code}")
        elif fix == "rebuild":
            actions.append(f"written anew{place}: {finding.code}, {finding.received}")
        elif fix == "drop episode" and finding.episode is not None:
            step = "" if finding.step is None else f" at step {finding.step}"
            reasons.setdefault(finding.episode, []).append(f"{finding.code}{place}{step}")
    for episode in sorted(report.spoilt & set(range(found.episode_count))):
        why = "; ".join(reasons.get(episode, ["touched by a finding above"]))
        actions.append(f"episode {episode} left out: {why}")
    for factor in sorted(set(report.factors.values())):
        episodes = [e for e, f in report.factors.items() if f == factor and e not in report.spoilt]
        if episodes:
            actions.append(f"points multiplied by {factor:g} in episodes {_spans(episodes)}")
    if "color" in found.arrays and not _has_colors(found):
        array, points = found.arrays["color"].array, dimensions(found.arrays)["points"]
        stored = f"{array.dtype} {array.shape}"
        actions.append(f"data/color left out: {stored}, not uint8 of shape (N, {points}, 3)")
    if _of_each(found, "episode_seed") is None:
        actions.append("seeds are not known: episodes are numbered")
    if _of_each(found, "episode_success") is None:
        actions.append("successes are not known: every episode counts as one")
    return actions


def _spans(numbers: Iterable[int]) -> str:
    """Numbers as ranges, for example ``0-3, 7``."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(f"{a}-{b}" if a < b else str(a) for a, b in spans)


def _of_each(found: Survey, name: str) -> np.ndarray | None:
    """The entries of ``meta/<name>``, if there is one an episode."""
    values = found.meta.get(name)
    return values if values is not None and len(values) == found.episode_count else None


def _spec(found: Survey, report: CheckReport, actions: list[str]) -> DatasetSpec:
    """What the new dataset says of itself; notes that cannot be are left out."""
    dims = dimensions(found.arrays)
    notes: dict[str, Any] = {"source": str(report.path.name), "actions": actions}
    spec = found.spec
    if spec is None:
        recipe = found.recipe if found.recipe and found.recipe.points == dims["points"] else None
        task, expert = found.attributes.get("task"), found.attributes.get("expert")
        spec = DatasetSpec(
            task=task if isinstance(task, str) else None,
            control_rate_hz=found.control_rate_hz,
            expert=expert if isinstance(expert, str) else None,
            recipe=recipe,
            camera=None,
            state_dim=dims["state_dim"],
            action_dim=dims["action_dim"],
            points=dims["points"],
        )
    return dataclasses.replace(spec, extra={**spec.extra, "repaired": notes})


def _has_colors(found: Survey) -> bool:
    """Whether ``data/color`` holds a color of 8 bits for each point: no other is one."""
    if "color" not in found.arrays:
        return False
    array = found.arrays["color"].array
    return array.dtype == np.uint8 and array.shape[1:] == (dimensions(found.arrays)["points"], 3)


def _episode(found: Survey, index: int, factor: float | None) -> Episode:
    start, stop = found.bounds(index)
    values = {name: stored.read(start, stop) for name, stored in found.arrays.items()}
    cloud = values.pop("point_cloud")
    color = values.pop("color", None)
    if not _has_colors(found):
        color = colors_of_floats(cloud[..., 3:]) if cloud.shape[2] == 6 else None
    xyz = cloud[..., :3].astype(np.float32)
    seeds, success = _of_each(found, "episode_seed"), _of_each(found, "episode_success")
    return Episode(
        point_cloud=xyz if factor is None else xyz * np.float32(factor),
        agent_pos=values.pop("state"),
        action=values.pop("action"),
        seed=index if seeds is None else int(seeds[index]),
        success=True if success is None else bool(success[index]),
        color=color,
        extras=values,
    )
