"""The document names what is there: each cause, parameter and diagnostic, and no other."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from oracles.demonstrated import Demonstrated
from oracles.robot_arm import Arm
from real_robot.causes import Cause
from real_robot.node_settings import NodeSettings
from real_robot.parameters import RobotParameters
from real_robot.recording import RecorderSettings
from real_robot.recording.status import RecorderMeters, describe_recorder
from real_robot.status import Meters, describe

PARAMETERS = (RobotParameters, NodeSettings)
TEXT = (Path(__file__).resolve().parents[2] / "docs" / "real_robot.md").read_text(encoding="utf-8")


def _named(section: str) -> list[str]:
    """What stands in backticks in the first column of a section's table."""
    (body,) = re.findall(rf"^## \d+\. {section}\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)
    first = re.findall(r"^\| (`[^|]*) \|", body, re.M)
    return [name for cell in first for name in re.findall(r"`([^`]+)`", cell)]


def _diagnostics() -> list[str]:
    arm, meters = Arm(), Meters()
    arm.arm()
    arm.tick()
    meters.latency_s.add(0.01)
    found = describe(arm.controller, meters, arm.now_s)[2]
    return [*found, "refusals/CAUSE"]


@pytest.mark.parametrize(
    ("section", "there"),
    [
        ("Causes", [str(cause) for cause in Cause]),
        (
            "Parameters",
            [each.name for cls in PARAMETERS for each in dataclasses.fields(cls)],
        ),
        ("Diagnostics", _diagnostics()),
        ("Recording", [each.name for each in dataclasses.fields(RecorderSettings)]),
        (
            "Diagnostics of the recorder",
            [
                *describe_recorder(Demonstrated().recorder, RecorderMeters(), 0.0)[2],
                "refusals/CAUSE",
            ],
        ),
    ],
)
def test_the_document_names_each_and_no_other(section, there):
    assert sorted(_named(section)) == sorted(there)
