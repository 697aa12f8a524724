"""A decider that computes at once, and answers when it is let."""

from __future__ import annotations

from real_robot.core import InlineDecider
from real_robot.core.deciding import Answer


class Withheld(InlineDecider):
    """Busy from a request to its answer, which it keeps back while ``is_withheld``."""

    is_withheld = False

    @property
    def is_busy(self) -> bool:
        """Whether there is an answer that nobody has got."""
        return bool(self._answers)

    def answers(self) -> list[Answer]:
        """What has been decided; nothing while it is kept back."""
        return [] if self.is_withheld else super().answers()
