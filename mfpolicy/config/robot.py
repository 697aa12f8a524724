"""What ``mfpolicy robot`` takes."""

from __future__ import annotations

from dataclasses import dataclass

from mfpolicy.config.checks import above_zero, at_least, known_device, not_empty, one_of
from mfpolicy.errors import ConfigError

ROBOTS = ("sim_ros2",)
DISTRIBUTIONS = ("jazzy", "kilted")
CAMERAS = ("depth", "cloud")
CLOCKS = ("simulated", "system")
LARGEST_DOMAIN = 101


@dataclass(frozen=True)
class RobotConfig:
    """Everything ``mfpolicy robot`` takes; ``configs/robot.yaml`` says what each value does."""

    run: str
    robot: str
    out: str | None
    task: str | None
    episodes: int
    seed: int
    horizon: int | None
    bridge: str
    peer: str
    environments: str | None
    camera: str
    clock: str
    realtime_factor: float
    domain_id: int | None
    device: str
    compare: bool
    workers: int | None

    def __post_init__(self) -> None:
        not_empty(run=self.run, out=self.out, task=self.task, environments=self.environments)
        one_of(ROBOTS, robot=self.robot)
        one_of(DISTRIBUTIONS, bridge=self.bridge, peer=self.peer)
        one_of(CAMERAS, camera=self.camera)
        one_of(CLOCKS, clock=self.clock)
        at_least(1, episodes=self.episodes, horizon=self.horizon, workers=self.workers)
        at_least(0, seed=self.seed, domain_id=self.domain_id)
        above_zero(realtime_factor=self.realtime_factor)
        known_device(self.device)
        if self.domain_id is not None and self.domain_id > LARGEST_DOMAIN:
            raise ConfigError(
                f"domain_id must be at most {LARGEST_DOMAIN}", received=self.domain_id
            )
        if self.clock == "system" and self.realtime_factor != 1:
            raise ConfigError(
                "realtime_factor must be 1 with clock=system: a controller that ticks by the "
                "computer's clock cannot be slowed down",
                received=self.realtime_factor,
                remedy="add realtime_factor=1, or leave clock at simulated",
            )
