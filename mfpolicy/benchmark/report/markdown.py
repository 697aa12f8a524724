"""A report as Markdown with GitHub's tables, to stand in a README as it is."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from urllib.parse import quote

from mfpolicy.benchmark.report.build import Report
from mfpolicy.benchmark.report.table import Entry, Section, Table

_CODE = re.compile(r"[\w./+-]+", re.ASCII)
# What would begin code, emphasis, a tag, an entity, a formula, a cell or a link's address. A line
# under a word is none of these.
_SIGNS = re.compile(r"[\\`*<>&|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=\])\(|!(?=\[)")


def markdown(report: Report, pictures: Mapping[str, str], *, level: int = 3) -> str:
    """The report as text.

    Args:
        report: what to write.
        pictures: name of a picture → its file, relative to the text's.
        level: of its headings; its title is one above and left out at level 1.
    """
    heading = "#" * level
    parts = [f"{heading[1:]} {escaped(report.title)}"] if level > 1 else []
    for section in report.sections:
        parts += _section(section, heading, pictures)
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    r"""Text that Markdown shows as it is.

    Example:
        >>> escaped("mp1_plus <b> a|b")
        'mp1_plus \\<b\\> a\\|b'
    """
    return _SIGNS.sub(lambda match: f"\\{match[0]}", " ".join(text.split()))


def _section(section: Section, heading: str, pictures: Mapping[str, str]) -> list[str]:
    parts = [f"{heading} {escaped(section.title)}"]
    parts += [escaped(text) for text in section.text]
    if section.points:
        parts.append("\n".join(f"- {escaped(point)}" for point in section.points))
    for table in section.tables:
        parts += _captioned(table)
    for picture in section.pictures:
        address = quote(pictures[picture.name])
        parts.append(f"![{escaped(picture.caption)}]({address})")
    return parts


def _captioned(table: Table) -> list[str]:
    if not table.folded:
        return [escaped(table.caption), _table(table)]
    caption = html.escape(" ".join(table.caption.split()))
    return [f"<details><summary>{caption}</summary>", _table(table), "</details>"]


def _table(table: Table) -> str:
    columns = range(len(table.head))
    rule = "|" + "".join("---:|" if table.is_number(column) else "---|" for column in columns)
    lines = [_line(table.head), rule, *(_line(row) for row in table.rows)]
    return "\n".join(lines)


def _line(entries: tuple[Entry, ...]) -> str:
    return "| " + " | ".join(_entry(entry) for entry in entries) + " |"


def _entry(entry: Entry) -> str:
    as_code = entry.name and _CODE.fullmatch(entry.text)
    text = f"`{entry.text}`" if as_code else escaped(entry.text)
    return f"**{text}**" if entry.strong else text
