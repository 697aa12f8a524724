"""`run`: a world in time: steps at its control rate, frames, and a clock."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import envs
from envs.robot.world import Phase, World
from mfpolicy.pointcloud import PointCloudRecipe

CLOCK_TICKS = 10
"""Times that the simulated clock moves in a control step, as a simulator's physics steps do."""

EPOCH_NS = 1_000_000_000_000
"""Where the simulated clock begins: a stamp of 0 would mean none."""

_MOST_LATE = 2.0  # periods: further behind, and the time lost is not made up for


class Told:
    """What has been said to a world since it last looked, in order."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._ended = threading.Event()

    def add(self, message: dict[str, Any]) -> None:
        """One more."""
        self._messages.put(message)

    def end(self) -> None:
        """There will be no more."""
        self._ended.set()

    @property
    def is_ended(self) -> bool:
        """Whether nobody is there any more."""
        return self._ended.is_set()

    def wait(self, seconds: float) -> None:
        """Waits, unless it ends before."""
        if seconds > 0:
            self._ended.wait(seconds)

    def all(self) -> list[dict[str, Any]]:
        """What came since the last call."""
        return [self._messages.get() for _ in range(self._messages.qsize())]


def run(wanted: Mapping[str, Any], told: Told, say: Callable[..., None]) -> None:
    """Keeps a world going until nobody is there any more.

    A step is made at the begin of its period, with the command that came last before it. Then the
    state that it led to is measured and told as a frame, stamped with its own time; the clock moves
    on to the end of the period, and what is commanded meanwhile takes effect at the next step. A
    machine that is too slow falls behind the wall clock; the simulated one knows nothing of that.

    Args:
        wanted: ``task``; ``recipe`` as a mapping, or None for the suite's; ``color``; ``horizon``
            or None; ``clock``, ``simulated`` or ``system``: the time that stamps have;
            ``steps_hz``, control steps per second of wall time.
        told: commands: ``reset`` with a ``seed``, ``listen``, ``command`` with a ``target``,
            ``grip`` with a ``value``, ``trace``.
        say: takes a head and arrays, for each message.
    """
    options = {} if wanted.get("horizon") is None else {"horizon": wanted["horizon"]}
    recipe = wanted.get("recipe")
    env = envs.make(
        wanted["task"],
        recipe=None if recipe is None else PointCloudRecipe.from_dict(recipe),
        color=bool(wanted.get("color")),
        **options,
    )
    world = World(env)
    is_simulated = wanted["clock"] == "simulated"
    step_ns = round(1e9 / world.env.spec_task.control_rate_hz)
    period_s = 1 / float(wanted["steps_hz"])
    say({"say": "world", **world.described(), "clock": wanted["clock"]})
    now_ns, due_s, behind = EPOCH_NS, time.monotonic(), 0
    while not told.is_ended:
        for message in told.all():
            _obey(world, message, say)
        was = world.phase
        world.advance()
        now_ns = now_ns + step_ns if is_simulated else time.time_ns()
        _tell(world, now_ns, behind, say)
        if world.phase is Phase.ENDED and was is not Phase.ENDED:
            say({"say": "ended", "result": asdict(world.result)})
        for tick in range(CLOCK_TICKS):
            if is_simulated:
                say({"say": "clock", "ns": now_ns + tick * step_ns // CLOCK_TICKS})
            told.wait(due_s + (tick + 1) / CLOCK_TICKS * period_s - time.monotonic())
        due_s += period_s
        if time.monotonic() - due_s > _MOST_LATE * period_s:
            due_s, behind = time.monotonic(), behind + 1
    world.env.close()


def _obey(world: World, message: Mapping[str, Any], say: Callable[..., None]) -> None:
    what = message["do"]
    if what == "command":
        world.command(message["target"])
    elif what == "grip":
        world.grip(message["value"])
    elif what == "reset":
        world.reset(int(message["seed"]))
        say({"say": "reset", "seed": message["seed"]})
    elif what == "listen":
        world.listen()
    elif what == "trace":
        say({"say": "trace", "actions": world.actions, "result": asdict(world.result)})


def _tell(world: World, stamp_ns: int, behind: int, say: Callable[..., None]) -> None:
    depth, image = world.env.images()
    measured = world.body.measured()
    head = {
        "say": "frame",
        "ns": stamp_ns,
        "phase": str(world.phase),
        "step": world.result.steps,
        "behind": behind,
        "names": measured.names,
        "position": measured.position.tolist(),
        "velocity": measured.velocity.tolist(),
        "tool": None if measured.tool is None else measured.tool.tolist(),
        "speed": measured.speed,
    }
    say(head, {"depth": depth} | ({} if image is None else {"color": image}))
