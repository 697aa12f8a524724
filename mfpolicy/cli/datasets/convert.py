"""``mfpolicy data convert``: recordings of others to a dataset of ours, and the way back."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mfpolicy.cli.console import output, print_rows, progress_bar
from mfpolicy.cli.datasets import VERBS
from mfpolicy.cli.environments import simulators
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import DataConvertConfig, compose
from mfpolicy.config.convert import from_mapping
from mfpolicy.errors import ConfigError

if TYPE_CHECKING:
    from mfpolicy.data.converting import ConvertReport, Target

OURS = "mfpolicy"


def run(words: Sequence[str]) -> int:
    """Converts what the words say."""
    if answers_itself("data convert", words, what=VERBS["convert"]):
        return 0
    config = compose("data convert", words)
    return _read(config) if config.to == OURS else _write(config)


def _read(config: DataConvertConfig) -> int:
    """Recordings of others to a dataset of ours."""
    from mfpolicy.data.converting import FORMATS, convert, guess_format

    source = Path(config.source).expanduser()
    name = guess_format(source) if config.format == "auto" else config.format
    task = config.task or FORMATS.get(name).task_of(source)
    target = dataclasses.replace(_target(config, task), layout=_layout(config, name))
    with progress_bar("convert", None, "kept") as show:
        report = convert(
            source,
            config.out,
            target,
            format=name,
            keep=config.keep,
            progress=lambda done, total, kept: show(done, kept, total),
        )
    print_rows(output(), _rows(report, target, task))
    return 0


def _write(config: DataConvertConfig) -> int:
    """A dataset of ours to the format of others."""
    from mfpolicy.data.converting import EXPORTS, export

    if config.to not in EXPORTS.names():
        raise ConfigError(
            f"to must be one of {', '.join([OURS, *EXPORTS.names()])}", received=config.to
        )
    for name, default in (("format", "auto"), ("task", None), ("layout", None)):
        if getattr(config, name) != default:
            raise ConfigError(
                f"{name} tells of recordings of others; to={config.to} reads a dataset of ours",
                received=getattr(config, name),
                remedy=f"leave {name} out",
            )
    with progress_bar("convert", None, "written") as show:
        report = export(
            config.source,
            config.out,
            to=config.to,
            keep=config.keep,
            points=config.points,
            store_extras=config.store_extras,
            progress=lambda done, total, kept: show(done, kept, total),
        )
    rows = [
        ("written", str(report.path)),
        ("format", report.format),
        ("kept", f"{report.kept} of {report.episodes} episodes, {report.steps} steps"),
        ("time", f"{report.seconds:.1f} s"),
    ]
    print_rows(output(), rows)
    return 0


def _target(config: DataConvertConfig, task: str | None) -> Target:
    """What the task says of the dataset; what cannot be simulated is converted without a task."""
    from mfpolicy.data.converting import Target

    if task is None:
        return Target(points=config.points, store_extras=config.store_extras)
    envs = simulators()
    from envs.suites import suite_of

    spec, suite = envs.spec(task), suite_of(task)
    options = {} if config.points is None else {"points": config.points}
    return Target(
        task=spec,
        recipe=suite.recipes[task],
        make_env=functools.partial(envs.make, task, **options),
        points=config.points,
        store_extras=config.store_extras,
    )


def _layout(config: DataConvertConfig, name: str) -> object:
    """What is where, of the format's own kind; None where no file says it."""
    if config.layout is None:
        return None
    import yaml

    from mfpolicy.data.converting import FORMATS

    kind, file = FORMATS.get(name).layout_kind, Path(config.layout).expanduser()
    if kind is None:
        raise ConfigError(f"recordings of format {name} take no layout", received=config.layout)
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"layout must be a readable YAML file: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError("a layout must be a mapping", received=values)
    return from_mapping(kind, values)


def _rows(report: ConvertReport, target: Target, task: str | None) -> list[tuple[str, str]]:
    share = report.succeeded / report.episodes
    what = "replays that reach the goal" if report.format == "dapg" else "taken for successes"
    rows = [
        ("dataset", str(report.path)),
        ("format", report.format),
        ("task", task or "not known"),
        (what, f"{report.succeeded} of {report.episodes} ({share:.0%})"),
        ("kept", f"{report.kept} episodes, {report.steps} steps"),
        *report.notes,
        ("time", f"{report.seconds:.1f} s"),
    ]
    if report.format == "dp3" and (target.task is None or target.task.suite != "adroit"):
        rows.append(("frame", "the source's own: its way to the world frame is not known here"))
    if task is not None:
        rows.append(("next", f"mfpolicy train task={task} data={report.path} out=runs/…"))
    return rows
