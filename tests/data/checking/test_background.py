"""Points that are spent on what never moves, in demonstrations of the simulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfpolicy.cli import main
from mfpolicy.data.checking import CheckReport, check_dataset

DP3_BOX = ["suite.crop_min=[-0.75,0.15,0.005]", "suite.crop_max=[0.55,1.15,1.0]"]


def told(report: CheckReport) -> list[str]:
    return [each.received for each in report.findings if each.code == "cloud-background"]


@pytest.mark.parametrize("box", [[], DP3_BOX], ids=["suite", "dp3"])
def test_walls_around_a_table_are_told_and_an_arm_that_moves_is_not(
    box: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "push.zarr"
    words = ["task=metaworld/push", "episodes=3", f"out={out}", "points=256", *box]
    assert main(["collect", *words]) == 0
    report = check_dataset(out)
    assert report.sound
    if box:
        (share,) = told(report)
        assert 50 <= int(share.partition("%")[0]) < 80  # 158 of 256: crop_agreement
        assert share.endswith("of 24 clouds")
    else:
        assert told(report) == []


def test_one_episode_cannot_say_what_never_moves(tmp_path: Path) -> None:
    out = tmp_path / "one.zarr"
    assert main(["collect", "task=metaworld/push", "episodes=1", f"out={out}", *DP3_BOX]) == 0
    assert told(check_dataset(out)) == []
