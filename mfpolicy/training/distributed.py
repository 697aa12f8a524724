"""The processes that train one policy together, as ``torchrun`` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from mfpolicy.errors import BackendError, ConfigError


@dataclass(frozen=True)
class World:
    """This process among those that train together.

    Attributes:
        rank: its number; rank 0 alone writes files and logs.
        size: how many there are.
        local_rank: its number on this machine, which is that of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

    def wait(self) -> None:
        """Waits until every process is here."""
        if self.size > 1:
            dist.barrier()

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """Returns each value's mean over the processes that have it, on every process."""
        if self.size == 1:
            return dict(values)
        gathered: list[dict[str, float]] = [{} for _ in range(self.size)]
        dist.all_gather_object(gathered, dict(values))
        names = dict.fromkeys(name for part in gathered for name in part)
        parts = {name: [part[name] for part in gathered if name in part] for name in names}
        return {name: sum(part) / len(part) for name, part in parts.items()}

    def from_lead(self, value: float) -> float:
        """Returns rank 0's value on every process."""
        return self.agree(stop=False, seconds=value)[1]

    def agree(self, *, stop: bool, seconds: float) -> tuple[bool, float]:
        """Returns whether any process was asked to stop, and the clock of rank 0.

        Processes receive a signal at different moments; without this, one would leave the others
        waiting for its gradient.
        """
        if self.size == 1:
            return stop, seconds
        told = torch.tensor([float(stop), seconds if self.leads else 0.0], dtype=torch.float64)
        told = told.to(_communication_device())
        dist.all_reduce(told)
        return bool(told[0] > 0), float(told[1])


def world_of_environment() -> World:
    """Reads what ``torchrun`` sets; a plain process is a world of its own.

    Raises:
        ConfigError: the variables are incomplete or do not fit one another.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    given = {name: os.environ[name] for name in names if name in os.environ}
    if "WORLD_SIZE" not in given:
        return World()
    try:
        rank, size, local = (int(given[name]) for name in names)
        if not 0 <= rank < size or local < 0:
            raise ValueError
    except (KeyError, ValueError):
        raise ConfigError(
            "RANK, WORLD_SIZE and LOCAL_RANK must be those of torchrun",
            received=given,
            remedy="start with torchrun --nproc-per-node=N -m mfpolicy train …, or unset them",
        ) from None
    return World(rank, size, local)


def device_of(world: World, device: str) -> str:
    """Returns the device of this process: on GPUs, each process takes the one of its local rank.

    Raises:
        ConfigError: one GPU is named for several processes.
        BackendError: there are more processes on this machine than GPUs.
    """
    if world.size == 1:
        return device
    if device.startswith("cuda:"):
        raise ConfigError(
            "with torchrun each process takes a GPU of its own",
            received=device,
            remedy="write device=cuda",
        )
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if world.local_rank >= torch.cuda.device_count():
        raise BackendError(
            "there must be a GPU for each process of this machine",
            received=f"{torch.cuda.device_count()} GPUs, local rank {world.local_rank}",
            remedy="start torchrun with --nproc-per-node of at most the number of GPUs",
        )
    return f"cuda:{world.local_rank}"


@contextmanager
def process_group(world: World, device: torch.device) -> Iterator[None]:
    """Joins the processes for the time of the context: NCCL between GPUs, gloo otherwise.

    Raises:
        BackendError: the processes do not find one another.
    """
    if world.size == 1 or dist.is_initialized():
        yield
        return
    try:
        if device.type == "cuda":
            torch.cuda.set_device(device)
            dist.init_process_group("nccl")
        else:
            dist.init_process_group("gloo")
    except (RuntimeError, ValueError) as error:
        raise BackendError(
            "the processes of torchrun must find one another",
            received=str(error).partition("\n")[0],
            remedy="check MASTER_ADDR and MASTER_PORT, and that all processes run",
        ) from error
    try:
        yield
    finally:
        dist.destroy_process_group()


def micro_batches_of(world: World, *, batch_size: int, micro_batches: int | None) -> int:
    """Returns in how many pieces the processes go through a batch, one piece each by default.

    The noise of a piece is a function of (seed, step, piece): with as many pieces, any number of
    processes computes the same gradient.

    Raises:
        ConfigError: the pieces do not divide the batch, or the processes the pieces.
    """
    pieces = micro_batches if micro_batches is not None else world.size
    if pieces % world.size:
        raise ConfigError(
            "training.micro_batches must be a multiple of the number of processes",
            received=f"{pieces} for {world.size} processes",
            remedy=f"set training.micro_batches={-(-pieces // world.size) * world.size} or start "
            f"a number of processes that divides {pieces}",
        )
    if batch_size % pieces:
        raise ConfigError(
            "training.batch_size must be a multiple of training.micro_batches, which is the "
            "number of processes where it is not set",
            received=f"{batch_size} in {pieces} pieces",
            remedy=f"set training.batch_size={-(-batch_size // pieces) * pieces}",
        )
    return pieces


def _communication_device() -> str:
    return "cuda" if dist.get_backend() == "nccl" else "cpu"
