"""``mfpolicy benchmark report`` on the command line."""

from __future__ import annotations

import json

import pytest

from benchmark.synthetic import cell, grid
from mfpolicy.cli import USER_ERROR, main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    records = tmp_path_factory.mktemp("records")
    for record in grid():
        record.save(records)
    return records


def report(*words) -> int:
    return main(["benchmark", "report", *map(str, words)])


def test_it_writes_the_files_and_says_what_the_numbers_say(folder, tmp_path, capsys):
    more = tmp_path / "more"
    cell("regression", "metaworld/push", chance=0.8).save(more)
    words = ("methods=mp1_plus,mp1,regression", "suite=quick_8", "tasks=metaworld/*")
    out = tmp_path / "new" / "table.html"
    assert report(f"records={folder},{more}", f"out={out}", *words, "title=All of it") == 0
    said = capsys.readouterr().out
    assert "mp1_plus leads mp1" in said
    assert "regression has no record of 2 of 3 tasks" in said
    assert "<title>All of it</title>" in out.read_text()
    assert "| `mp1_plus` | `mp1` | `regression` |" in (out.parent / "table.md").read_text()
    numbers = json.loads((out.parent / "table_summary.json").read_text())
    assert list(numbers["success"]) == ["mp1_plus", "mp1", "regression"]
    assert numbers["common_tasks"] == ["metaworld/push"]
    assert "table_tasks.png" in {path.name for path in out.parent.iterdir()}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["out=report.pdf"], "ends with .html"),
        (["methods=mp1,mp2"], "no record is of this method"),
        (["suite=quick8"], "did you mean 'quick_8'"),
        (["tasks=metaworld/pish"], "did you mean 'metaworld/push'"),
        (["baseline=dp4"], "did you mean 'dp3'"),
        (["demonstrations=0"], "demonstrations must be at least 1"),
        (["suite=mp1_37", "tasks=metaworld/drawer-open"], "no record is left"),
        (["records="], "records must not be empty"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(folder, tmp_path, capsys, words, message):
    said = {"records": str(folder), "out": str(tmp_path / "report.html")}
    said |= dict(word.split("=") for word in words)
    assert report(*(f"{key}={value}" for key, value in said.items())) == USER_ERROR
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_record_is_named_with_a_remedy(tmp_path, capsys):
    path = cell("mp1", "metaworld/push").save(tmp_path)
    path.write_text("{}")
    assert report(tmp_path, f"out={tmp_path / 'report.html'}") == USER_ERROR
    said = capsys.readouterr().err
    assert str(path) in said
    assert "run the cell again" in said


def test_help_lists_every_option(capsys):
    assert report("--help") == 0
    said = capsys.readouterr().out
    for option in ("records=", "out=", "methods=", "suite=", "tasks=", "baseline=", "title="):
        assert f"  {option}" in said
