"""``python -m real_robot.replay.recorder``: recorded bags into a dataset, as the recorder does it.

Each bag is an episode, from the first tick at which every input is fresh to its last.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfpolicy.data.converting.ros.bag import Bag, looks_like_bag
from mfpolicy.errors import ConfigError, DataError, UserError
from mfpolicy.options import parse_options
from real_robot.node_settings import MESSAGE_TYPES, NodeSettings
from real_robot.parameters import RobotParameters
from real_robot.recording import DatasetStore, Recorder, RecorderSettings
from real_robot.recording.episode import Steps
from real_robot.recording.recorder import State
from real_robot.replay.inputs import Inputs, Taker
from real_robot.replay.interleaving import interleaved
from real_robot.replay.told import key_values, load_file
from real_robot.safety import Reply

HELP = """\
usage: python -m real_robot.replay.recorder bag=BAGS parameters=FILE [out=DATASET]

Recorded bags into a dataset, each an episode, by the recorder's own code. No ROS is needed.

  bag=         a bag of ROS 2 (sqlite3, MCAP) or ROS 1, or a folder of bags
  parameters=  YAML file of the recorder
  out=         dataset that is written or continued, in place of the file's"""


@dataclass(frozen=True)
class Options:
    """The words of the command line."""

    bag: str = ""
    parameters: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        for name in ("bag", "parameters"):
            if not getattr(self, name):
                raise ConfigError(f"{name} must be given", received="", remedy="see --help")


@dataclass(frozen=True)
class _Source:
    """A store to which a bag is appended under its name."""

    store: DatasetStore
    name: str

    @property
    def episodes(self) -> int:
        return self.store.episodes

    def append(self, steps: Steps) -> None:
        self.store.append(steps, self.name)


def record_bag(
    path: Path,
    store: DatasetStore,
    *,
    parameters: RobotParameters,
    settings: NodeSettings,
    recording: RecorderSettings,
) -> Reply:
    """Records one bag as an episode; says what became of it.

    Raises:
        BackendError: rosbags is missing.
        ConfigError: these do not go together.
        DataError: it is no bag, is damaged, or lacks a topic.
    """
    recorder = Recorder(parameters, settings, recording, _Source(store, path.name))
    bag = Bag(path)
    now_s, reply = 0.0, Reply(False, "discarded: it is empty")
    try:
        inputs = Inputs(bag, settings, recorder, _commands(recorder, settings, recording))
        for now_s, message in interleaved(bag, inputs.topics, period_s=1 / recorder.rate_hz):
            if message is not None:
                topic, received_s, stamp_s, raw, kind = message
                stamp_s = received_s if stamp_s is None else stamp_s
                inputs.take(topic, raw, kind, stamp_s, received_s)
                continue
            if not reply.ok:
                reply = recorder.start(now_s)
            recorder.tick(now_s)
    finally:
        bag.close()
    if not reply.ok:
        return reply
    early = f" ({recorder.reply.message})" if recorder.state is State.ENDED else ""
    reply = recorder.stop(now_s)
    return Reply(reply.ok, reply.message + early)


def _commands(
    recorder: Recorder, settings: NodeSettings, recording: RecorderSettings
) -> dict[str, tuple[str, Taker]]:
    """What takes the demonstrator's commands, by topic."""
    takers: dict[str, tuple[str, Taker]] = {}
    topic, kind = recording.source(settings)
    if topic:
        takers[topic] = MESSAGE_TYPES[kind], functools.partial(_take, recorder.on_command)
    if recorder.parameters.gripper_column >= 0:
        gripper = functools.partial(_take, recorder.on_gripper)
        takers[settings.gripper_topic] = MESSAGE_TYPES["float64_multi_array"], gripper
    return takers


def _take(call: Callable[..., None], message: Any, stamp_s: float, now_s: float) -> None:
    call(message, now_s=now_s)


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command line; 0: done, 1: no episode was kept, 2: something to mend."""
    words = list(sys.argv[1:] if words is None else words)
    if not words or "--help" in words or "-h" in words:
        print(HELP)
        return 0
    try:
        return 0 if _recorded(parse_options(Options, key_values(words))) else 1
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _recorded(options: Options) -> int:
    """How many of the bags are episodes of the dataset in the end."""
    given = {"out": options.out} if options.out else {}
    parameters, settings, recording = load_file(
        options.parameters, RobotParameters, NodeSettings, RecorderSettings, given=given
    )
    root = Path(options.bag)
    bags = [root] if looks_like_bag(root) else []
    if not bags and root.is_dir():
        bags = sorted(each for each in root.iterdir() if looks_like_bag(each))
    if not bags:
        raise DataError("bag must name a bag of ROS, or a folder of bags", received=str(root))
    settings.check(parameters)
    recording.check(parameters, settings)
    kept = 0
    store = DatasetStore(parameters, settings, recording)
    try:
        for path in bags:
            if path.name in store.sources:
                print(f"{path.name}: there already")
                kept += 1
                continue
            reply = record_bag(
                path, store, parameters=parameters, settings=settings, recording=recording
            )
            print(f"{path.name}: {reply.message}")
            kept += reply.ok
        print(f"{store.episodes} episodes in {recording.out}")
        return kept
    finally:
        store.close()


if __name__ == "__main__":
    raise SystemExit(main())
