"""The page of a report in a real browser."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmark.synthetic import cell, grid
from data.viewing.chromium import running
from mfpolicy.benchmark.report import build_report, select, write_report

HOSTILE = "<script>hacked=1</script><img src=x onerror=hacked=1>|`$x$"
BLUE, ORANGE, GREEN = (0, 114, 178), (213, 94, 0), (0, 158, 115)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "report.html"
    return write_report(build_report(select(grid())), out)[0]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with running(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


def column(chromium, place):
    """Texts of a column of the first table."""
    return chromium.evaluate(
        "[...document.querySelector('table').tBodies[0].rows]"
        f".map((row) => row.cells[{place}].textContent)"
    )


def click_head(chromium, place):
    """A real click on the head of a column of the first table."""
    left, top, right, bottom = chromium.evaluate(
        f"(() => {{ const head = document.querySelector('table').tHead.rows[0].cells[{place}];"
        " head.scrollIntoView({block: 'center'});"
        " const box = head.firstChild.getBoundingClientRect();"
        " return [box.left, box.top, box.right, box.bottom]; })()"
    )
    at = ((left + right) / 2, (top + bottom) / 2)
    for kind in ("mousePressed", "mouseReleased"):
        chromium.mouse(kind, *at, button="left", clickCount=1)


def test_the_bars_are_in_the_picture_as_high_as_the_rates(chromium, page):
    chromium.open(page)
    chromium.evaluate("document.getElementById('tasks').scrollIntoView()")
    picture = chromium.look("tasks")
    tops = []
    for color in (BLUE, ORANGE, GREEN):
        rows, columns = np.nonzero(np.abs(picture.astype(int) - color).max(axis=2) < 12)
        # Bars, not the legend: pixels of the lower half lie in bars alone.
        inside = columns[rows > picture.shape[0] / 2]
        assert len(inside) > 500
        first = columns < inside.min() + 30
        tops.append(rows[first & (rows > 60)].min())
    # On the first task mp1_plus is better than mp1, and that than dp3.
    assert tops[2] < tops[0] < tops[1]
    assert chromium.faults() == []


def test_every_picture_is_in_the_page_itself(chromium, page):
    chromium.open(page)
    widths = chromium.evaluate("[...document.images].map((image) => image.naturalWidth)")
    assert len(widths) == 5
    assert min(widths) > 500
    assert chromium.evaluate(
        "[...document.querySelectorAll('[src], link')].every((x) => x.src.startsWith('data:'))"
    )
    assert chromium.faults() == []


def test_a_click_on_a_head_sorts_and_another_turns_the_order(chromium, page):
    chromium.open(page)
    before = column(chromium, 3)
    assert before[-1] == "–"
    click_head(chromium, 3)
    down = column(chromium, 3)
    numbers = [float(text.split()[0]) for text in down[:-1]]
    assert numbers == sorted(numbers, reverse=True)
    assert down[-1] == "–"
    click_head(chromium, 3)
    assert column(chromium, 3) == [*down[-2::-1], "–"]
    click_head(chromium, 0)
    assert column(chromium, 0) == sorted(column(chromium, 0))
    assert chromium.evaluate("document.querySelectorAll('[aria-sort]').length") == 1


def test_names_of_records_are_never_run(chromium, tmp_path):
    records = [cell(name, "metaworld/push", chance=0.5) for name in ("mp1", HOSTILE)]
    records.append(dataclasses.replace(cell("mp1", f"{HOSTILE}/{HOSTILE}"), difficulty=HOSTILE))
    report = build_report(select(records), title=HOSTILE)
    files = write_report(report, tmp_path / "hostile.html")
    chromium.open(files[0])
    assert chromium.evaluate("typeof hacked") == "undefined"
    assert chromium.evaluate("document.querySelector('h1').textContent") == HOSTILE
    heads = "[...document.querySelectorAll('th')].map((head) => head.textContent)"
    assert HOSTILE in chromium.evaluate(heads)
    assert chromium.evaluate("document.querySelectorAll('script').length") == 1
    assert chromium.faults() == []
    assert "<script" not in files[1].read_text().replace(r"\<", "")


def test_a_browser_runs_nothing_else_in_the_page(chromium, page, tmp_path):
    """The second lock: what got into the page all the same would not run."""
    broken = tmp_path / "broken.html"
    broken.write_text(page.read_text().replace("<main>", "<script>hacked = 1</script><main>"))
    chromium.open(broken)
    assert chromium.evaluate("typeof hacked") == "undefined"
    assert any("Content Security Policy" in event for event in chromium.faults())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_in_light_and_dark(chromium, page, scheme):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    chromium("Emulation.setEmulatedMedia", features=[feature])
    chromium.open(page)
    heading = chromium.evaluate("document.querySelector('h1').id = 'heading'") and chromium.look(
        "heading"
    ).astype(int).mean(axis=2)
    ground = np.median(heading)
    ink = heading.max() if scheme == "dark" else heading.min()
    assert (ground < 60) == (scheme == "dark")
    assert abs(ground - ink) > 150
    chromium("Emulation.setEmulatedMedia", features=[])


def test_wide_tables_scroll_by_themselves(chromium, tmp_path):
    records = [cell(f"a_method_with_a_long_name_{n}", "metaworld/push") for n in range(12)]
    page = write_report(build_report(select(records)), tmp_path / "wide.html")[0]
    chromium.open(page)
    assert chromium.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert chromium.evaluate(
        "(() => { const box = document.querySelector('.table');"
        " return box.scrollWidth > box.clientWidth; })()"
    )
