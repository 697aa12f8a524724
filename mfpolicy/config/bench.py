"""What ``mfpolicy bench`` takes."""

from __future__ import annotations

from dataclasses import dataclass

from mfpolicy.config.checks import at_least, known_device, not_empty, one_of
from mfpolicy.errors import ConfigError


@dataclass(frozen=True)
class BenchConfig:
    """Everything ``mfpolicy bench`` takes; ``configs/bench.yaml`` says what each value does."""

    what: str
    policy: str
    backend: str
    precision: str
    batch: str
    threads: str
    decisions: int
    busy: int
    cold: bool
    device: str
    state_dim: int
    action_dim: int
    reference: str | None
    out: str | None

    def __post_init__(self) -> None:
        one_of(["latency"], what=self.what)
        not_empty(reference=self.reference, out=self.out)
        known_device(self.device)
        at_least(1, decisions=self.decisions, state_dim=self.state_dim, action_dim=self.action_dim)
        at_least(0, busy=self.busy)
        for name in ("policy", "backend", "precision"):
            names(name, getattr(self, name))
        for name in ("batch", "threads"):
            numbers(name, getattr(self, name))


def names(key: str, text: str) -> list[str]:
    """The names in a list with commas.

    Raises:
        ConfigError: there is none.
    """
    found = [name.strip() for name in text.strip("[]").split(",") if name.strip()]
    if not found:
        raise ConfigError(f"{key} must name at least one", received=text)
    return list(dict.fromkeys(found))


def numbers(key: str, text: str) -> list[int]:
    """The numbers in a list with commas.

    Raises:
        ConfigError: one is not a whole number of at least 1.
    """
    found = names(key, text)
    if not all(number.isdecimal() and int(number) for number in found):
        raise ConfigError(f"{key} must be whole numbers of at least 1, as 1,2", received=text)
    return [int(number) for number in found]
