"""A report as one HTML page: its pictures in it, and no network.

Whatever a record says is text in the page. A policy (CSP) lets a browser run the page's own program
alone, which sorts tables.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from pathlib import Path

from mfpolicy.benchmark.report.build import Report
from mfpolicy.benchmark.report.table import Entry, Picture, Section, Table

_PARTS = Path(__file__).parent / "page_parts"


def page(report: Report) -> str:
    """The report as HTML."""
    template, style, script = (
        (_PARTS / name).read_text(encoding="utf-8")
        for name in ("page.html", "style.css", "sort.js")
    )
    return template % {
        "title": escape(report.title),
        "policy": f"default-src 'none'; img-src data:; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
        "style": style,
        "contents": "".join(
            f'<li><a href="#part-{place}">{escape(section.title)}</a></li>'
            for place, section in enumerate(report.sections)
        ),
        "sections": "\n".join(
            "\n".join(_section(place, section)) for place, section in enumerate(report.sections)
        ),
        "script": script,
    }


def _section(place: int, section: Section) -> Iterator[str]:
    yield f'<section id="part-{place}"><h2>{escape(section.title)}</h2>'
    for text in section.text:
        yield f"<p>{escape(text)}</p>"
    if section.points:
        yield "<ul>" + "".join(f"<li>{escape(each)}</li>" for each in section.points) + "</ul>"
    for picture in section.pictures:
        yield _picture(picture)
    for table in section.tables:
        yield _table(table)
    yield "</section>"


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode("ascii")
    caption = escape(picture.caption)
    return (
        f'<figure id="{escape(picture.name)}"><img alt="{caption}" '
        f'src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>'
    )


def _table(table: Table) -> str:
    kinds = ["number" if table.is_number(place) else "word" for place in range(len(table.head))]
    head = "".join(
        f'<th scope="col" class="{kind}"><button type="button">{_text(entry)}</button></th>'
        for kind, entry in zip(kinds, table.head, strict=True)
    )
    rows = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    caption = escape(table.caption)
    shown = (
        f'<div class="table" tabindex="0"><table><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>"
    )
    return f"<details><summary>{caption}</summary>{shown}</details>" if table.folded else shown


def _cell(entry: Entry) -> str:
    value = "" if entry.value is None else f' data-value="{float(entry.value)!r}"'
    text = _text(entry)
    return f"<td{value}>{f'<strong>{text}</strong>' if entry.strong else text}</td>"


def _text(entry: Entry) -> str:
    text = escape(entry.text)
    return f"<code>{text}</code>" if entry.name else text


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
