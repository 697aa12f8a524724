"""Which arrays hold stamps: time, stamp or timestamp, with a unit behind it or without."""

from __future__ import annotations

import re

STAMPS = re.compile(r"(time|times|timestamp|timestamps|stamp|stamps)(?:_(ns|us|ms|s))?\Z")
"""Names of arrays of stamps; the second group is the unit."""
