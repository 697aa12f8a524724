"""`run_episodes`: episodes of a closed loop, one seed each, and what is measured of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mfpolicy.errors import RunError
from real_robot.simulated.robot import SimulatedRobot

_SETTLE_S = 0.2  # of wall time: commands under way when the controller is disarmed
_SLOWER = 4.0  # than planned, before an episode is given up
_LEAST_S = 30.0


@dataclass(frozen=True)
class LoopEpisode:
    """One episode over ROS.

    Attributes:
        result: as of :class:`mfpolicy.types.EpisodeResult`; ``holds`` are control steps to which no
            command came.
        wall_s: from arming to its end.
        intervals_ms: between commands. ages_ms: of the newest frame when each came, since it was
            sent. Both in wall time, at the robot.
        commands: that came, holds among them.
        behind: times that the simulation gave up the time it had lost, since it began.
        actions: (A,) of each control step: with the seed, all that it takes to see it again.
        diagnostics: of the controller, after the episode.
    """

    result: dict[str, Any]
    wall_s: float
    intervals_ms: tuple[float, ...]
    ages_ms: tuple[float, ...]
    commands: int
    behind: int
    actions: list[list[float]]
    diagnostics: Mapping[str, Any]


def run_episodes(
    robot: SimulatedRobot,
    seeds: Iterable[int],
    *,
    steps_hz: float,
    done: Callable[[LoopEpisode], None] = lambda _: None,
) -> list[LoopEpisode]:
    """Runs an episode for each seed; the controller must be active.

    Args:
        robot: the simulated robot.
        seeds: of the placements.
        steps_hz: control steps per second of wall time, as the robot was told.
        done: called with each episode.

    Raises:
        RunError: an episode did not end, since the controller does not move the robot; the message
            says what its diagnostics say.
    """
    episodes = []
    for seed in seeds:
        robot.begin(seed)
        begun_s = time.monotonic()
        robot.arm()
        patience_s = max(_LEAST_S, _SLOWER * robot.world["horizon"] / steps_hz)
        result = _ended(robot, patience_s)
        wall_s = time.monotonic() - begun_s
        report = robot.report()
        robot.serve("disarm")
        time.sleep(_SETTLE_S)
        episode = LoopEpisode(
            result=result,
            wall_s=wall_s,
            intervals_ms=tuple(report["intervals_ms"]),
            ages_ms=tuple(report["ages_ms"]),
            commands=report["commands"],
            behind=report["behind"],
            actions=robot.trace()["actions"],
            diagnostics=robot.diagnostics(),
        )
        episodes.append(episode)
        done(episode)
    return episodes


def _ended(robot: SimulatedRobot, patience_s: float) -> dict[str, Any]:
    try:
        return robot.ended(patience_s)
    except RunError as error:
        report, said = robot.report(), robot.diagnostics()
        last = said.get("values", {}).get("last_refusal", "nothing")
        raise RunError(
            f"an episode must end: it is at step {report['step']} after {patience_s:.0f} s",
            received=f"{report['commands']} commands; the controller says {said.get('message')!r}, "
            f"last refused: {last}",
            remedy="a smaller realtime_factor leaves a slow machine more time",
        ) from error
