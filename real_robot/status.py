"""What a controller says of itself: a level, a line, and numbers by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from real_robot.causes import OF_ACTIONS, Cause
from real_robot.core import Controller
from real_robot.rates import Rate, Recent
from real_robot.safety import Guard
from real_robot.safety.freshness import Freshness


class Level(IntEnum):
    """As ``diagnostic_msgs`` has them."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True, eq=False)
class Meters:
    """Rates and durations that the one who calls the controller measures.

    Attributes:
        cloud, joints, ticks: how often each comes.
        latency_s: from a cloud's stamp to the first command that was decided on it.
    """

    cloud: Rate = field(default_factory=Rate)
    joints: Rate = field(default_factory=Rate)
    ticks: Rate = field(default_factory=Rate)
    latency_s: Recent = field(default_factory=Recent)


def describe(
    controller: Controller, meters: Meters, now_s: float, *, has_ticks: bool = True
) -> tuple[Level, str, dict[str, str]]:
    """The state of a controller.

    Args:
        controller: that is described.
        meters: what was measured of it.
        now_s: by its clock.
        has_ticks: whether it is called in time; a clock that stands still calls nobody.

    Returns:
        A level, what to read first, and values by name: rates (Hz), jitter and latencies (ms), and
        refusals by cause.
    """
    guard = controller.guard
    level, line = _headline(guard, now_s, has_ticks=has_ticks)
    values = {
        "armed": str(guard.is_armed).lower(),
        "stopped": str(guard.is_stopped).lower(),
        "dry_run": str(guard.dry_run).lower(),
        "cloud_rate_hz": f"{meters.cloud.hz(now_s):.1f}",
        "joints_rate_hz": f"{meters.joints.hz(now_s):.1f}",
        "tick_rate_hz": f"{meters.ticks.hz(now_s):.1f} of {controller.rate_hz:g}",
        "tick_jitter_ms": f"{meters.ticks.jitter_s(now_s) * 1e3:.2f}",
        "tick_period_p99_ms": f"{meters.ticks.period_p99_s(now_s) * 1e3:.2f}",
        "inputs": inputs_told(guard.inputs, now_s),
        "fault": _told(guard.fault),
        "refusing": _told(guard.refusing),
    }
    decisions = Recent()
    for took_s in controller.decision_times_s:
        decisions.add(took_s)
    for name, recent in (("decision", decisions), ("cloud_to_command", meters.latency_s)):
        found = recent.percentiles()
        if found is not None:
            values[f"{name}_p50_ms"] = f"{found[0] * 1e3:.2f}"
            values[f"{name}_p99_ms"] = f"{found[1] * 1e3:.2f}"
    return level, line, values | guard.refusals.values()


def _headline(guard: Guard, now_s: float, *, has_ticks: bool) -> tuple[Level, str]:
    """The level, and the line that is read first: the state, and why nothing moves."""
    if guard.is_stopped:
        return Level.ERROR, f"stopped: {guard.reason}"
    if not guard.is_armed:
        if guard.fault is None:
            return Level.WARN, "disarmed"
        cause, detail = guard.fault
        why = detail if cause is Cause.AUTO_DISARM else ""
        return Level.ERROR, f"disarmed: {cause} {why}".rstrip()
    cause = guard.blocked(now_s) or (None if has_ticks else Cause.CLOCK)
    if cause is None and guard.refusing is not None:
        cause = guard.refusing[0]
    if cause is not None:
        level = Level.WARN if cause in OF_ACTIONS else Level.ERROR
        return level, f"armed, refusing: {cause}"
    if guard.dry_run:
        return Level.WARN, "armed, dry run: nothing is sent"
    return Level.OK, "armed"


def _told(met: tuple[Cause, str] | None) -> str:
    return "none" if met is None else " ".join(met).strip()


def inputs_told(inputs: Mapping[str, Freshness], now_s: float) -> str:
    """Each input: fresh, or why it is not."""
    return ", ".join(f"{name}: {each.problem(now_s) or 'fresh'}" for name, each in inputs.items())
