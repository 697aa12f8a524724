"""How long to train, as it is typed: ``500steps``, ``20epochs``, ``5min``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from mfpolicy.errors import ConfigError

_FORM = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-z]+)\s*", re.IGNORECASE)
_SECONDS = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600}


@dataclass(frozen=True)
class Budget:
    """One of three measures of a run's length; the other two are None.

    Attributes:
        steps: optimizer steps.
        epochs: passes over the windows.
        seconds: wall-clock time of training, over all resumes.
    """

    steps: int | None = None
    epochs: float | None = None
    seconds: float | None = None


def parse_budget(text: str) -> Budget:
    """Reads an amount and its unit.

    Raises:
        ConfigError: the text has another form, the amount is zero, or steps are not whole.

    Example:
        >>> parse_budget("5min")
        Budget(steps=None, epochs=None, seconds=300.0)
    """
    match = _FORM.fullmatch(text)
    amount = float(match[1]) if match else math.nan
    unit = match[2].lower() if match else ""
    unit = unit if unit in _SECONDS else unit.removesuffix("s")
    if not match or not (unit in _SECONDS or unit in ("step", "epoch")):
        raise ConfigError(
            "budget must be an amount with a unit",
            received=text,
            remedy="write for example budget=1000steps, budget=50epochs or budget=5min",
        )
    if not 0 < amount < math.inf:
        raise ConfigError(
            "budget must be above zero", received=text, remedy="leave it out for training.steps"
        )
    if unit == "epoch":
        return Budget(epochs=amount)
    if unit in _SECONDS:
        return Budget(seconds=amount * _SECONDS[unit])
    if amount != int(amount):
        raise ConfigError("a budget in steps must be a whole number", received=text)
    return Budget(steps=int(amount))


def snapshot_steps(count: int, steps: int | None) -> tuple[int, ...]:
    """The steps after which a policy is kept: evenly spaced, the last one at the end.

    Raises:
        ConfigError: the end of the training is not known in steps, or there are fewer of them.

    Example:
        >>> snapshot_steps(3, 1000)
        (333, 667, 1000)
    """
    if not count:
        return ()
    if steps is None or steps < count:
        raise ConfigError(
            "training.snapshots needs a training of at least as many steps",
            received=f"{count} snapshots, {'a budget in time' if steps is None else steps}",
            remedy="lower training.snapshots, or set training.steps",
        )
    return tuple(round(steps * place / count) for place in range(1, count + 1))
