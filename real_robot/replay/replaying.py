"""`replay`: the messages of a bag in their time, ticks between them, and what they command."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from pathlib import Path

import numpy as np

from mfpolicy.data.converting.ros.bag import Bag, looks_like_bag
from mfpolicy.errors import DataError
from real_robot.core import Controller, InlineDecider
from real_robot.node_settings import NodeSettings
from real_robot.parameters import RobotParameters
from real_robot.policies import OpenPolicy
from real_robot.replay.inputs import Inputs
from real_robot.replay.interleaving import interleaved
from real_robot.replay.output import CommandBag


@dataclasses.dataclass(frozen=True)
class Replayed:
    """What became of a bag.

    Attributes:
        ticks: of the controller. kinds: how many commands were ``move``, ``hold``, ``silent``.
        refusals: by cause. decision_ms: median time of a decision; None without any.
    """

    ticks: int
    kinds: dict[str, int]
    refusals: dict[str, int]
    decision_ms: float | None


def replay(
    bag: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    policy: OpenPolicy,
    parameters: RobotParameters,
    settings: NodeSettings,
) -> Replayed:
    """Replays a recorded bag through a controller into a bag of commands.

    Ticks are a period apart, in the time at which the bag received its messages. The dry run is
    set aside and the controller armed whenever it can be, since nothing moves. The recorded robot
    does not obey: where the commands lead away from it, they are refused as jumps.

    Args:
        bag: of ROS 2 (sqlite3, MCAP) or ROS 1.
        out: folder that the bag of commands becomes; it must not be there.
        policy: that decides; it takes no time.
        parameters: of the node, see :func:`real_robot.replay.told.load_node_file`.
        settings: of the node.

    Raises:
        BackendError: rosbags is missing.
        ConfigError: parameters, settings and policy do not go together, or ``out`` is there.
        DataError: ``bag`` is no bag, is damaged, or lacks a topic.
    """
    path = Path(bag)
    if not looks_like_bag(path):
        raise DataError("bag must name a bag of ROS", received=str(path))
    settings.check_color(has_color=policy.facts.has_color)
    told = dataclasses.replace(parameters, dry_run=False)
    controller = Controller(told, policy.facts, InlineDecider(policy.decide))
    recorded = Bag(path)
    try:
        inputs = Inputs(recorded, settings, controller)
        with CommandBag(Path(out), settings, told) as commands:
            kinds = _run(recorded, inputs, controller, commands)
    finally:
        recorded.close()
    times_s = list(controller.decision_times_s)
    return Replayed(
        ticks=kinds.total(),
        kinds=dict(kinds),
        refusals=controller.guard.refusals.counts(),
        decision_ms=float(np.median(times_s)) * 1e3 if times_s else None,
    )


def _run(
    recorded: Bag, inputs: Inputs, controller: Controller, commands: CommandBag
) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for now_s, message in interleaved(recorded, inputs.topics, period_s=1 / controller.rate_hz):
        if message is not None:
            topic, received_s, stamp_s, raw, kind = message
            inputs.take(topic, raw, kind, received_s if stamp_s is None else stamp_s, received_s)
            continue
        if not controller.guard.is_armed:
            controller.arm(now_s)
        command = controller.tick(now_s)
        commands.write(command, now_s)
        kinds[str(command.kind)] += 1
    return kinds
