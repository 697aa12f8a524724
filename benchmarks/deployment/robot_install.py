"""How much a robot must install to run an exported policy, measured in a fresh environment.

Exports a run (or a policy with untrained weights) as a folder, makes a virtual environment,
installs the folder's own requirements.txt there and nothing else, runs the folder's example, and
adds up what was installed:

    python -m benchmarks.deployment.robot_install --out benchmarks/results/2026-11-24-robot-install
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import mfpolicy
from benchmarks.cells import machine
from mfpolicy.deployment.export import export_policy
from mfpolicy.policy import save_policy

LIMIT_MB = 200
LISTING = """
import importlib.metadata as metadata, json, pathlib
sizes = {}
for distribution in metadata.distributions():
    files = [pathlib.Path(distribution.locate_file(f)) for f in distribution.files or []]
    size = sum(f.stat().st_size for f in files if f.is_file())
    sizes[f"{distribution.name} {distribution.version}"] = size
print(json.dumps(sizes))
"""
ISOLATED = """
import runpy, sys
sys.path.insert(0, ".")
runpy.run_path("example.py", run_name="__main__")
print(sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "mfpolicy"}))
"""


@dataclass(frozen=True)
class Install:
    """What a robot installs.

    Attributes:
        packages: installed bytes by distribution, the installer left out.
        folder_bytes: of the exported folder, the weights included.
        output: what the example printed; its last line lists what it should not have imported.
    """

    machine: str
    packages: dict[str, int]
    folder_bytes: dict[str, int]
    output: list[str]

    @property
    def megabytes(self) -> float:
        """Of all packages."""
        return sum(self.packages.values()) / 1e6


def measure(run: Path, work: Path, constraints: Sequence[str] = ()) -> Install:
    """Installs and runs the export of ``run`` in a fresh environment below ``work``."""
    folder = export_policy(run, work / "robot", format="folder").path
    venv.create(work / "venv", with_pip=True)
    python = work / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-compile", *constraints]
    subprocess.run([*install, "-r", folder / "requirements.txt"], check=True)
    sizes = json.loads(_output([python, "-I", "-c", LISTING], folder))
    packages = {
        name: size for name, size in sizes.items() if not name.startswith(("pip ", "setup"))
    }
    printed = _output([python, "-I", "-B", "-c", ISOLATED], folder).splitlines()
    assert printed[-1] == "[]", printed
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    return Install(machine(), packages, files, printed)


def table(install: Install) -> str:
    """The result as Markdown."""
    lines = [
        f"Installed by the requirements.txt of an exported folder: {install.megabytes:.0f} MB "
        f"(limit {LIMIT_MB} MB); {install.machine}.",
        "",
        "| package | installed |",
        "|---|---|",
    ]
    by_size = sorted(install.packages.items(), key=lambda item: -item[1])
    lines += [f"| {name} | {size / 1e6:.1f} MB |" for name, size in by_size]
    lines += ["", "| file of the folder | size |", "|---|---|"]
    lines += [f"| {name} | {size / 1e6:.3f} MB |" for name, size in install.folder_bytes.items()]
    lines += ["", "Its example printed:", "", "```", *install.output[:-1], "```"]
    return "\n".join(lines) + "\n"


def _output(command: Sequence[str | Path], folder: Path) -> str:
    environment = {name: v for name, v in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def main() -> None:
    """Measures and writes the result; fails above the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="run folder; none: mp1_small, untrained")
    parser.add_argument("--constraint", type=Path, help="pip's constraints")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        run = given.run
        if run is None:
            run = work / "run"
            policy = mfpolicy.build_policy("mp1_small", point_dim=3, state_dim=9, action_dim=4)
            save_policy(policy, run)
        pinned = ["--constraint", str(given.constraint)] if given.constraint else []
        install = measure(run, work, pinned)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    facts = {**asdict(install), "megabytes": install.megabytes}
    given.out.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    given.out.with_suffix(".md").write_text(table(install))
    if install.megabytes >= LIMIT_MB:
        sys.exit(f"{install.megabytes:.0f} MB are above the limit of {LIMIT_MB} MB")


if __name__ == "__main__":
    main()
