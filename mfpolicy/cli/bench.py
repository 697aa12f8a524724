"""``mfpolicy bench``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mfpolicy.cli.console import output
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import BenchConfig, compose
from mfpolicy.config.bench import names, numbers

if TYPE_CHECKING:
    from mfpolicy.deployment.bench.latency import Row


def run(words: Sequence[str]) -> int:
    """Measures latencies and prints them."""
    if answers_itself("bench", words):
        return 0
    config = compose("bench", words)
    from mfpolicy.deployment.bench.measure import percentiles, sampling_ms
    from mfpolicy.deployment.bench.report import write_report
    from mfpolicy.evaluation.machine import machine_facts, package_versions
    from mfpolicy.policy.files import check_device

    device = str(check_device(config.device))
    rows = _measure(config, device)
    facts = machine_facts(device)
    heading = (
        "One decision in ms, host observation in to host actions out, everybody in turn, "
        f"{rows[0].latency_ms['total']['n']} decisions each"
        + (f", beside {config.busy} busy processes" if config.busy else "")
        + f"; {facts.get('gpu', facts['cpu'])}, {facts['cores']} cores, torch {facts['torch']}."
    )
    sampling = percentiles(sampling_ms(512))
    heading += (
        " Sampling 512 of 7056 points, once a frame and not in the table: "
        f"p50 {sampling['p50']:.2f} ms, p99 {sampling['p99']:.2f} ms."
    )
    print(heading)
    _print(rows)
    if config.out:
        command = " ".join(["mfpolicy bench", *words])
        kept = {
            "command": command,
            "sampling_ms": sampling,
            "machine": facts,
            "versions": package_versions(),
        }
        for path in write_report(Path(config.out), rows, f"{heading}\n\n`{command}`", kept):
            print(path)
    return 0


def _measure(config: BenchConfig, device: str) -> list[Row]:
    from mfpolicy.deployment.bench.contenders import contenders
    from mfpolicy.deployment.bench.latency import measure_latency

    entrants = contenders(
        names("policy", config.policy),
        backends=names("backend", config.backend),
        precisions=names("precision", config.precision),
        batches=numbers("batch", config.batch),
        threads=numbers("threads", config.threads),
        device=device,
        state_dim=config.state_dim,
        action_dim=config.action_dim,
    )
    return measure_latency(
        entrants,
        decisions=config.decisions,
        busy=config.busy,
        cold=config.cold,
        reference=Path(config.reference) if config.reference else None,
        progress=lambda what: print(what, file=sys.stderr),
    )


def _print(rows: Sequence[Row]) -> None:
    from rich import box
    from rich.table import Table

    from mfpolicy.deployment.bench.report import HEAD, cells

    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    for index, name in enumerate(HEAD):
        table.add_column(name, justify="left" if index in (0, 2) else "right", no_wrap=True)
    for line in cells(rows):
        table.add_row(*line)
    output().print(table)
