"""``mfpolicy doctor``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from mfpolicy.cli.console import output
from mfpolicy.cli.help import wants_help
from mfpolicy.errors import ConfigError

HELP = """\
usage: mfpolicy doctor [--json]

doctor: what this machine can and cannot do, and the remedy

  --json    the findings as a list of objects: name, status, detail, remedy

It renders with each backend, computes on each device, and compares the installed packages
with the versions that were measured. The exit code is 1 if something essential is missing.

example:
  mfpolicy doctor"""


def run(words: Sequence[str]) -> int:
    """Prints the findings; returns 1 if something essential is missing."""
    if wants_help(words):
        print(HELP)
        return 0
    unknown = [word for word in words if word != "--json"]
    if unknown:
        raise ConfigError("doctor takes --json or nothing", received=unknown[0])
    from mfpolicy.doctor import examine, print_table

    checks = examine()
    if "--json" in words:
        print(json.dumps([dataclasses.asdict(check) for check in checks], indent=2))
    else:
        print_table(output(), checks)
    return int(any(check.status == "missing" for check in checks))
