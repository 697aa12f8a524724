"""Every kind of damage is found under its own code, at its place, and nothing else is said."""

import re
from pathlib import Path

import pytest

from benchmarks.data.damages import DAMAGES
from mfpolicy.data.checking import CODES, check_dataset, repair
from mfpolicy.data.store import open_dataset
from mfpolicy.errors import DataError

MENDED = {
    damage.code: damage for damage in reversed(DAMAGES) if CODES[damage.code].severity == "error"
}


def test_a_sound_dataset_has_no_findings(smooth):
    report = check_dataset(smooth)
    assert [finding.code for finding in report.findings] == []
    assert (report.sound, report.episodes, report.steps) == (True, 3, 144)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_damage_is_found_and_nothing_else_is_said(smooth, damage):
    damage.do(smooth)
    report = check_dataset(smooth)
    found = [finding for finding in report.findings if finding.severity != "note"]
    assert {finding.code for finding in found} == {damage.code}
    assert any(
        damage.array in (None, finding.array)
        and damage.episode in (None, finding.episode)
        and damage.step in (None, finding.step)
        for finding in found
    ), found
    assert report.sound == (CODES[damage.code].severity == "warning")
    for finding in found:
        assert finding.rule
        assert finding.received
        assert finding.remedy
    if not damage.readable:
        with pytest.raises(DataError):
            open_dataset(smooth)


@pytest.mark.parametrize("damage", MENDED.values(), ids=lambda damage: damage.code)
def test_a_repair_leaves_no_error_and_says_what_it_did(smooth, tmp_path, damage):
    damage.do(smooth)
    report = check_dataset(smooth)
    if damage.code in IRREPARABLE:
        with pytest.raises(DataError):
            repair(report, tmp_path / "mended.zarr")
        assert not (tmp_path / "mended.zarr").exists()
        return
    mended = repair(report, tmp_path / "mended.zarr")
    again = check_dataset(mended.path)
    assert again.sound, again.findings
    assert open_dataset(mended.path).episode_count == mended.episodes
    assert any(damage.code in action or "multiplied" in action for action in mended.actions)


IRREPARABLE = {
    "action-all-constant", "array-missing", "array-shape", "no-episodes", "cloud-frame",
}  # fmt: skip
"""Of these nothing is left that training could use: an array it needs, or every episode."""


def test_there_is_a_damage_for_every_code():
    told = {damage.code for damage in DAMAGES}
    assert set(CODES) - told == {
        *("action-constant", "cloud-background", "episode-failed", "rate-exceeded")
    }
    assert len(told) >= 20


def test_the_documentation_lists_every_code():
    text = (Path(__file__).parents[3] / "docs" / "data_checks.md").read_text()
    rows = re.findall(
        r"^\| `([a-z-]+)` \| (\w+) \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE
    )
    assert {row[0]: row[1:] for row in rows} == {
        name: (code.severity, code.rule, code.fix, code.remedy) for name, code in CODES.items()
    }
