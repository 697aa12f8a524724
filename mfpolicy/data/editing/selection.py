"""Episodes as people name them: ``0,3,10:20``."""

from __future__ import annotations

import re

from mfpolicy.errors import ConfigError

_ITEM = re.compile(r"(\d{1,9})|(\d{0,9}):(\d{0,9})")


def parse_episodes(text: str, count: int) -> list[int]:
    """Returns the indices that ``text`` names, in its order.

    Args:
        text: ``all``, or numbers and ranges ``start:stop`` (stop exclusive, both may be left out)
            with commas between them.
        count: E, how many episodes there are.

    Raises:
        ConfigError: the text cannot be read, or names an episode twice or one that is not there.

    Example:
        >>> parse_episodes("7,0:3", 10)
        [7, 0, 1, 2]
    """
    if text.strip() == "all":
        return list(range(count))
    chosen: dict[int, None] = {}
    for item in text.split(","):
        match = _ITEM.fullmatch(item.strip())
        if match is None:
            raise ConfigError(
                "episodes must be numbers and ranges start:stop with commas between them, or all",
                received=text,
                remedy="for example episodes=0,3,10:20",
            )
        start, stop = _bounds(match, count)
        if start >= stop or stop > count:
            raise ConfigError(
                f"episodes must be among 0 to {count - 1}",
                received=item.strip(),
                remedy="a range start:stop leaves its stop out",
            )
        for index in range(start, stop):
            if index in chosen:
                raise ConfigError(
                    "every episode must be named once", received=f"{index} twice in {text}"
                )
            chosen[index] = None
    return list(chosen)


def _bounds(match: re.Match[str], count: int) -> tuple[int, int]:
    if match[1] is not None:
        return int(match[1]), int(match[1]) + 1
    return int(match[2] or 0), int(match[3] or count)
