"""What a recorder says of itself: a level, a line, and numbers by name."""

from __future__ import annotations

from dataclasses import dataclass, field

from real_robot.rates import Rate
from real_robot.recording.recorder import Recorder, State
from real_robot.status import Level, inputs_told


@dataclass(frozen=True, eq=False)
class RecorderMeters:
    """How often each comes: clouds, joints, commands of the demonstrator, ticks."""

    cloud: Rate = field(default_factory=Rate)
    joints: Rate = field(default_factory=Rate)
    commands: Rate = field(default_factory=Rate)
    ticks: Rate = field(default_factory=Rate)


def describe_recorder(
    recorder: Recorder, meters: RecorderMeters, now_s: float
) -> tuple[Level, str, dict[str, str]]:
    """The state of a recorder.

    Returns:
        A level, what to read first, and values by name: rates (Hz), jitter (ms), episodes, and what
        was thrown away by cause.
    """
    cause = recorder.problem(now_s)
    line = f"{recorder.state}: {recorder.reply.message}"
    level = Level.OK
    if recorder.state is State.RECORDING and (cause is not None or recorder.steps.faults):
        level, line = Level.ERROR, f"recording, with faults: {recorder.steps.told() or cause}"
    elif recorder.state is State.ENDED:
        level = Level.WARN
    elif cause is not None:
        level, line = Level.WARN, f"idle, cannot start: {cause}"
    values = {
        "state": str(recorder.state),
        "episodes": str(recorder.store.episodes),
        "discarded": str(recorder.discarded),
        "steps": str(len(recorder.steps)),
        "faulty_steps": str(recorder.steps.faults.total()),
        "last_reply": recorder.reply.message,
        "cloud_rate_hz": f"{meters.cloud.hz(now_s):.1f}",
        "joints_rate_hz": f"{meters.joints.hz(now_s):.1f}",
        "command_rate_hz": f"{meters.commands.hz(now_s):.1f}",
        "tick_rate_hz": f"{meters.ticks.hz(now_s):.1f} of {recorder.rate_hz:g}",
        "tick_jitter_ms": f"{meters.ticks.jitter_s(now_s) * 1e3:.2f}",
        "inputs": inputs_told(recorder.inputs, now_s),
    }
    return level, line, values | recorder.refusals.values()
