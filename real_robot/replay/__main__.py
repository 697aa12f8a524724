"""``python -m real_robot.replay``: a recorded bag through the controller into a bag of commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from mfpolicy.errors import ConfigError, UserError
from mfpolicy.options import parse_options
from real_robot.policies import open_policy
from real_robot.replay.replaying import Replayed, replay
from real_robot.replay.told import key_values, load_node_file

HELP = """\
usage: python -m real_robot.replay bag=BAG parameters=FILE out=FOLDER [run=RUN | server=URL]

A recorded bag through the controller into a bag of commands. Nothing moves, and no ROS is needed.

  bag=         bag of ROS 2 (sqlite3, MCAP) or ROS 1, with the topics of the parameters
  parameters=  YAML file of the node
  out=         bag of commands that is written (MCAP)
  run=         run folder of the policy, in place of the file's run or server
  server=      ws://HOST:PORT of mfpolicy serve, in place of the file's
  device=      of a run, in place of the file's"""


@dataclass(frozen=True)
class Options:
    """The words of the command line."""

    bag: str = ""
    parameters: str = ""
    out: str = ""
    run: str = ""
    server: str = ""
    device: str = ""

    def __post_init__(self) -> None:
        for name in ("bag", "parameters", "out"):
            if not getattr(self, name):
                raise ConfigError(f"{name} must be given", received="", remedy="see --help")


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command line; 0: done, 1: no server there, 2: something to mend in the words."""
    words = list(sys.argv[1:] if words is None else words)
    if not words or "--help" in words or "-h" in words:
        print(HELP)
        return 0
    try:
        _show(_replayed(parse_options(Options, key_values(words))))
    except ConnectionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _replayed(options: Options) -> Replayed:
    parameters, settings = load_node_file(options.parameters)
    given = bool(options.run or options.server)
    policy = open_policy(
        run=options.run if given else settings.run,
        task=settings.run_task,
        server=options.server if given else settings.server,
        token=settings.token,
        device=options.device or settings.device,
        compiled=settings.compiled,
        timeout_s=max(parameters.policy_timeout_s, 1.0),
    )
    try:
        policy.warm()
        return replay(
            options.bag, options.out, policy=policy, parameters=parameters, settings=settings
        )
    finally:
        policy.close()


def _show(replayed: Replayed) -> None:
    print(f"ticks {replayed.ticks}")
    for kind in ("move", "hold", "silent"):
        print(f"  {kind} {replayed.kinds.get(kind, 0)}")
    if replayed.decision_ms is not None:
        print(f"decision {replayed.decision_ms:.2f} ms (median)")
    for cause, count in replayed.refusals.items():
        print(f"refused: {cause} {count}")


if __name__ == "__main__":
    raise SystemExit(main())
