"""Time and memory of our training step beside MP1's, and what each exact shortcut is worth.

Each comparison runs two processes, ours and another, that take their steps in turn, so that what
else the machine does meets both; of each pair of steps counts the ratio, of the ratios the median.
The other is MP1's own code in a checkout of its repository (``--reference``), the same step
rebuilt in ``reference.py``, or ours without one shortcut or without all of them:

    python -m benchmarks.training.step --data data/drawer-open.zarr --reference MP1 \
        --out benchmarks/results/2026-11-24-training-step

The checkout is ``git clone https://github.com/LogSSim/MP1`` at 929d4dd; its step needs einops and
termcolor, for example from ``pip install --target DIR`` with DIR on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.training.step_shortcuts import IN_MEMORY, WITHOUT
from benchmarks.training.step_worker import SIZES
from mfpolicy.evaluation.machine import machine_facts

WARM = 2
"""Steps of each process before its steps count."""


class Worker:
    """A contestant in a process of its own."""

    def __init__(self, contestant: str, preset: str, given: argparse.Namespace) -> None:
        words = [contestant, preset, given.data, str(given.reference or ""), str(given.threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(given.threads)}
        environment.setdefault("GOMP_SPINCOUNT", "1000")  # as the command line has it
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.training.step_worker", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def ask(self, line: str = "") -> dict[str, float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if line:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"a contestant ended: {self.process.args}")
        return json.loads(answer)


def compare(other: str, preset: str, given: argparse.Namespace) -> dict[str, Any]:
    """Steps of ours and of another in turn: seconds of each, and the memory of both."""
    workers = {"ours": Worker("ours", preset, given), other: Worker(other, preset, given)}
    load = os.getloadavg()[0]
    steps: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
    for number in range(WARM + given.rounds):
        for name in list(workers)[:: 1 if number % 2 else -1]:
            steps[name].append(workers[name].ask(str(number)))
    peaks = {name: round(worker.ask("end")["peak_mib"]) for name, worker in workers.items()}
    for worker in workers.values():
        worker.process.wait()
    counted = {name: rows[WARM:] for name, rows in steps.items()}
    result = {
        name: {"peak_mib": peaks[name], **{key: [row[key] for row in rows] for key in rows[0]}}
        for name, rows in counted.items()
    }
    ratios = {
        key: [
            row[key] / mine[key] for row, mine in zip(counted[other], counted["ours"], strict=True)
        ]
        for key in ("wall_s", "cpu_s")
    }
    return {"other": other, "load": load, "steps": result, "ratios": ratios}


def contestants(given: argparse.Namespace) -> list[str]:
    """Everything that ours is compared with."""
    repository = ["repository"] if given.reference else []
    plain = [f"without {name}" for name in ("any", *WITHOUT, IN_MEMORY)]
    return [name for name in [*repository, "rebuilt", *plain] if given.only in name]


def row(preset: str, found: dict[str, Any]) -> str:
    """A comparison as a line of Markdown."""
    ours, other = found["steps"]["ours"], found["steps"][found["other"]]
    walls, cpus = found["ratios"]["wall_s"], found["ratios"]["cpu_s"]
    middle = statistics.median
    names = {"repository": "MP1's repository", "rebuilt": "MP1's step, rebuilt"}
    cells = [
        names.get(found["other"], found["other"].replace("without any", "without any of them")),
        f"{middle(ours['wall_s']):.2f} / {middle(other['wall_s']):.2f} s",
        f"**{middle(walls):.2f}** ({min(walls):.2f} to {max(walls):.2f})",
        f"{middle(cpus):.2f}",
        f"{len(walls)}",
        f"{SIZES[preset] / middle(ours['wall_s']):.1f} / "
        f"{SIZES[preset] / middle(other['wall_s']):.1f}",
        f"{ours['peak_mib']} / {other['peak_mib']}",
        f"{found['load']:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def _place(found: dict[str, Any]) -> int:
    order = ["repository", "rebuilt", *(f"without {n}" for n in ("any", *WITHOUT, IN_MEMORY))]
    return order.index(found["other"])


def described(machine: dict[str, Any]) -> str:
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, PyTorch "
        f"{machine['torch'].partition('+')[0]}"
    )


def report(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        f"One training step, ours beside another, in float32 with {result['threads']} threads; "
        f"{described(result['machine'])}. Loss, widths, points, batches and data (ten "
        "demonstrations of drawer-open) are the same; ours includes loading the batch, normalising "
        "it and clipping the gradient, MP1's does not. Each line has two processes that took their "
        f"steps in turn, after {WARM} that do not count: medians, and of the ratio of neighbouring "
        "steps the median, smallest and largest. Memory is the growth of the resident set from "
        "before the policy is built to its highest (VmHWM). Load is the machine's average over the "
        "minute before the first step: what else ran on its cores. Times are to be read within a "
        "line, never across lines, and a ratio whose range holds 1 is not told from noise.",
    ]
    for preset, comparisons in result["sizes"].items():
        if not comparisons:
            continue
        lines += [
            "",
            f"`{preset}`, batch {SIZES[preset]}, ours / other:",
            "",
            "| other | step | times ours | the same of processor time | steps | samples/s "
            "| peak MiB | load |",
            "|---|---|---|---|---|---|---|---|",
            *(row(preset, found) for found in sorted(comparisons, key=_place)),
        ]
    if result.get("agreement"):
        lines += ["", "Same weights, batch and draws, small size: " + agreed(result["agreement"])]
    return "\n".join(lines) + "\n"


def agreed(found: dict[str, float]) -> str:
    return (
        f"the repository's loss is {found['repository']:.7f}, the rebuilt step's "
        f"{found['rebuilt']:.7f}, and their gradients lie {found['gradients_apart']:.1e} apart at "
        "most. `tests/training/test_exact_step.py` holds ours to the rebuilt one."
    )


def write(result: dict[str, Any], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(result) + "\n")
    out.with_suffix(".md").write_text(report(result))


def measured_before(given: argparse.Namespace) -> dict[str, Any]:
    """What ``--out`` holds already, or an empty result."""
    written = given.out.with_suffix(".json")
    if not written.is_file():
        empty: dict[str, list[Any]] = {preset: [] for preset in SIZES}
        return {"machine": machine_facts("cpu"), "threads": given.threads, "sizes": empty}
    result = json.loads(written.read_text())
    if result["threads"] != given.threads:
        raise SystemExit(f"{written} was measured with {result['threads']} threads")
    return result


def main() -> None:
    """Measures comparison after comparison and writes each; those that are written stay."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True, help="ten demonstrations of drawer-open")
    parser.add_argument("--reference", type=Path, help="a checkout of LogSSim/MP1")
    parser.add_argument("--presets", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--only", default="", help="comparisons whose name has this in it")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    result = measured_before(given)
    if given.reference and "agreement" not in result:
        result["agreement"] = Worker("agreement", "mp1_small", given).ask()
    for preset in given.presets:
        there = {found["other"] for found in result["sizes"][preset]}
        for other in (name for name in contestants(given) if name not in there):
            result["sizes"][preset].append(compare(other, preset, given))
            print(row(preset, result["sizes"][preset][-1]), flush=True)
            write(result, given.out)
    print(report(result))


if __name__ == "__main__":
    main()
