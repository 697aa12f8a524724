"""What ``mfpolicy serve`` takes."""

from __future__ import annotations

from dataclasses import dataclass

from mfpolicy.config.checks import above_zero, at_least, known_device, not_empty
from mfpolicy.errors import ConfigError

MAX_PORT = 65535
MAX_MESSAGE_MB = 1024.0


@dataclass(frozen=True)
class ServeConfig:
    """Everything ``mfpolicy serve`` takes; ``configs/serve.yaml`` says what each value does."""

    run: str
    task: str | None
    host: str
    port: int
    token: str | None
    device: str
    steps: int | None
    threads: int | None
    compiled: bool
    max_batch: int
    window_ms: float
    max_clients: int
    max_message_mb: float

    def __post_init__(self) -> None:
        not_empty(run=self.run, task=self.task, host=self.host, token=self.token)
        known_device(self.device)
        at_least(0, port=self.port, window_ms=self.window_ms)
        whole = {"max_batch": self.max_batch, "max_clients": self.max_clients}
        at_least(1, steps=self.steps, threads=self.threads, **whole)
        above_zero(max_message_mb=self.max_message_mb)
        for name, value, most in (
            ("port", self.port, MAX_PORT),
            ("window_ms", self.window_ms, 1000.0),
            ("max_message_mb", self.max_message_mb, MAX_MESSAGE_MB),
        ):
            if value > most:
                raise ConfigError(f"{name} must be at most {most:g}", received=value)
