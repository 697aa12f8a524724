"""The messages of a bag in their time, with ticks between them."""

from __future__ import annotations

from collections.abc import Iterator

from mfpolicy.data.converting.ros.bag import Bag

Message = tuple[str, float, float | None, bytes, str]
"""As :meth:`Bag.messages` gives them."""

_LONGEST_GAP_S = 60.0  # after which ticks begin anew, as after a jump of the clock


def interleaved(
    bag: Bag, topics: set[str], *, period_s: float
) -> Iterator[tuple[float, Message | None]]:
    """Messages and ticks in the order in which a node would have met them.

    Yields:
        The time at which a message was received, and the message; or the time of a tick, and None.
        Ticks begin with the first message.

    Raises:
        DataError: a topic is missing, or the bag is damaged.
    """
    begun_s, ticks = float("-inf"), 0
    for message in bag.messages(topics):
        received_s = message[1]
        if received_s - (begun_s + ticks * period_s) > _LONGEST_GAP_S:
            begun_s, ticks = received_s, 1
        while (now_s := begun_s + ticks * period_s) <= received_s:
            yield now_s, None
            ticks += 1
        yield received_s, message
