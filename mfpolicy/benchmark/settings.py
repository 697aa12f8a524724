"""Whether a record is of the cell that is asked for: the same settings, whatever the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mfpolicy.benchmark.demonstrations import digest_of
from mfpolicy.benchmark.record import LAST, CellRecord
from mfpolicy.config import BenchmarkCell, TrainConfig
from mfpolicy.config.convert import leaves, to_mapping
from mfpolicy.training.distributed import World
from mfpolicy.training.train import settled

FIRST_SEED = 10_000
"""Of the evaluated episodes, in every cell."""

_FREE = ("task", "data", "out", "seed", "resume", "device", "logging")
_SNAPSHOTS = "training.snapshots"


def recorded_config(config: TrainConfig) -> dict[str, Any]:
    """The configuration as a record keeps it, dotted key → value.

    Task and seed stand in the record by themselves; paths, device and logging decide nothing.
    """
    flat = leaves(to_mapping(settled(config, World())))
    return {key: value for key, value in flat if key.partition(".")[0] not in _FREE}


def differences(record: CellRecord, cell: BenchmarkCell, *, episodes: int) -> list[str]:
    """What the record was made with and the cell is not, as ``key: recorded -> asked``.

    A key that the record does not have is an option of a later version: where it is off, it is what
    the record was made with. A record with a learning curve also answers who asks for none. The
    demonstrations are compared where they are there.

    Args:
        record: found where that of the cell lies.
        cell: that is asked for.
        episodes: evaluated at the end, from seed 10000 on.
    """
    return list(_differences(record, cell, episodes))


def _differences(record: CellRecord, cell: BenchmarkCell, episodes: int) -> Iterator[str]:
    what = {
        "task": (record.task, cell.config.task),
        "method": (record.method, cell.method),
        "seed": (record.seed, cell.config.seed),
        "demonstrations": (record.demonstrations, cell.demonstrations),
    }
    for key, (old, new) in what.items():
        if old != new:
            yield f"{key}: {old!r} -> {new!r}"
    seeds = [outcome.seed for outcome in record.evaluations[LAST].episodes]
    if seeds != list(range(FIRST_SEED, FIRST_SEED + episodes)):
        yield f"episodes: {len(seeds)} from seed {min(seeds)} -> {episodes} from {FIRST_SEED}"
    asked = recorded_config(cell.config)
    for key in sorted({*asked, *record.config}):
        if key not in record.config and not asked[key]:
            continue
        if key == _SNAPSHOTS and not asked[key]:
            continue
        old, new = record.config.get(key), asked.get(key)
        if old != new:
            yield f"{key}: {old!r} -> {new!r}"
    shown = record.collected.digest
    if shown is not None and shown != (there := _digest_there(cell)) and there is not None:
        yield f"digest of the demonstrations: {shown} -> {there}"


def _digest_there(cell: BenchmarkCell) -> str | None:
    """Of the cell's demonstrations, None where they are not all there."""
    return digest_of(Path(str(cell.config.data)), cell.demonstrations)
