"""A report as files."""

from __future__ import annotations

import json
import os
from pathlib import Path

from mfpolicy.benchmark.report.build import Report
from mfpolicy.benchmark.report.markdown import markdown
from mfpolicy.benchmark.report.page import page
from mfpolicy.errors import ConfigError

ENDING = ".html"


def write_report(report: Report, out: str | Path) -> list[Path]:
    """Writes NAME.html, NAME.md, NAME_….png for its pictures, and NAME_summary.json.

    All lie beside another. Each file is replaced when its new content is complete.

    Args:
        report: what to write.
        out: NAME.html; its folder is made.

    Returns:
        The files, the page first.

    Raises:
        ConfigError: ``out`` does not end with .html.
    """
    target = check_out(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    shown = [picture for section in report.sections for picture in section.pictures]
    files = {picture.name: f"{target.stem}_{picture.name}.png" for picture in shown}
    numbers = json.dumps(report.summary, indent=1, allow_nan=False) + "\n"
    content: dict[str, bytes] = {
        target.name: page(report).encode(),
        f"{target.stem}.md": markdown(report, files).encode(),
        **{files[picture.name]: picture.png for picture in shown},
        f"{target.stem}_summary.json": numbers.encode(),
    }
    for name, data in content.items():
        _replace(target.with_name(name), data)
    return [target.with_name(name) for name in content]


def check_out(out: str | Path) -> Path:
    """The path of the page.

    Raises:
        ConfigError: it does not end with .html.
    """
    target = Path(out).expanduser()
    if target.suffix != ENDING or target.is_dir():
        raise ConfigError(f"out must be a file that ends with {ENDING}", received=str(out))
    return target


def _replace(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
