"""The ``mfpolicy`` command: one verb a job, options as ``key=value``.

Only the verb that is used is imported, so that ``mfpolicy --help`` answers at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from mfpolicy import __version__
from mfpolicy.errors import ConfigError, UserError, did_you_mean

VERBS = {
    "tasks": "every task with its suite, difficulty, dimensions and expert",
    "collect": "demonstrations from an expert to a zarr dataset",
    "data": "datasets: convert, info, check, view, merge, split and more",
    "train": "a policy from a dataset to a run folder",
    "sweep": "a policy for each combination of values, as processes, Slurm jobs or Ray tasks",
    "eval": "success rate in simulation, latency per step, videos",
    "export": "a policy as one file or folder that runs without this package",
    "serve": "a policy server for a robot that computes elsewhere",
    "robot": "the controller on a simulated robot, over ROS 2",
    "import": "a checkpoint of the released MP1, FlowPolicy or DP3 to a run folder",
    "benchmark": "methods beside one another on a suite of tasks: the runs, and tables of them",
    "bench": "latency of policies beside one another, by stage, with cold start and memory",
    "doctor": "what this machine can and cannot do, and the remedy",
}

HELP = """\
usage: mfpolicy VERB [key=value …]

{verbs}

  mfpolicy VERB --help    its options with their defaults, and an example that works
  mfpolicy --version      the version
  --debug                 show the traceback behind an error message

From demonstrations to a success rate:

  mfpolicy collect task=metaworld/drawer-open episodes=10 seed=0 out=data/drawer-open.zarr
  mfpolicy train task=metaworld/drawer-open data=data/drawer-open.zarr out=runs/drawer-open
  mfpolicy eval runs/drawer-open episodes=100 seed=10000"""

USER_ERROR, MACHINE_ERROR, INTERRUPTED = 2, 1, 130


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command line and returns the exit code.

    0: done. 1: this machine lacks something or refused a file. 2: something to mend in the
    command or its inputs, explained on stderr. 130: interrupted by Ctrl-C.

    Args:
        words: the words after ``mfpolicy``; None takes them from the command line.
    """
    # Before torch is loaded: threads that wait for one another give their cores away soon. Spinning
    # longer gains nothing on an idle machine and costs a factor of 20 beside another busy process.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    words = list(sys.argv[1:] if words is None else words)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        return _dispatch(words)
    except UserError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("interrupted: what was finished is kept", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return MACHINE_ERROR
    except OSError as error:
        if debug:
            raise
        print(f"error: {error}. --debug shows where", file=sys.stderr)
        return MACHINE_ERROR


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("--help", "-h", "help"):
        listing = "\n".join(f"  {verb:<10}{what}" for verb, what in VERBS.items())
        print(HELP.format(verbs=listing))
        return 0
    if words[0] == "--version":
        print(f"mfpolicy {__version__}")
        return 0
    verb, *rest = words
    if verb not in VERBS:
        raise ConfigError(
            "the first word must be a command of mfpolicy",
            received=verb,
            remedy=did_you_mean(verb, VERBS),
        )
    module = importlib.import_module(f"mfpolicy.cli.{verb}")
    return module.run(rest)
