"""Every objective on data whose law is known: same network, batches and number of steps.

    python -m benchmarks.objectives.oracles --out benchmarks/results/2026-11-24-objectives-oracles

trains all registered objectives on Gaussians and pairs of points in 1 and 16 dimensions, whose
place a condition moves, and writes NAME.json, NAME.md and the figure after every objective. It
goes on where it stopped: an objective is trained again where budget or options have changed, or
where it is named after ``--again``.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.cells import machine
from benchmarks.objectives.oracles_cost import Costs
from benchmarks.objectives.oracles_data import ORACLES
from benchmarks.objectives.oracles_measures import measure
from benchmarks.objectives.oracles_report import FIGURE_ORACLE, REFERENCE, draw, table
from benchmarks.objectives.oracles_training import Budget, sample, train
from benchmarks.provenance import commit
from mfpolicy import objectives
from mfpolicy.config import compose_preset
from mfpolicy.errors import ConfigError
from mfpolicy.networks import Network
from mfpolicy.objectives import Objective

TEACHER = "flow_matching"
EVERY, EVERY_ROWS, REACHED_BELOW = 200, 250, 0.05
FIGURE_SAMPLES = 500


class Study:
    """What has been measured, and how to measure the next objective.

    Args:
        out: where the result is kept, without suffix.
        budget: what every objective gets.
    """

    def __init__(self, out: Path, budget: Budget) -> None:
        self.path, self.budget = out.with_suffix(".json"), budget
        self.rows: list[dict[str, Any]] = []
        self.costs: dict[str, dict[str, Any]] = {}
        self.settings: dict[str, Any] = {}
        if self.path.exists():
            found = json.loads(self.path.read_text())
            if found["budget"] == asdict(budget):
                self.rows, self.costs = found["rows"], found["costs"]
                self.settings = found["settings"]
        self._teachers: dict[str, Network] = {}
        self._costs: Costs | None = None

    def add(self, name: str) -> None:
        """Measures one objective, unless it has been with these options."""
        options = json.loads(json.dumps(options_of(name)))
        if self.settings.get(name) == options:
            return
        self.rows = [row for row in self.rows if row["objective"] != name]
        for oracle in ORACLES:
            self.rows += self._rows(name, oracle)
        self._costs = self._costs or Costs(objectives.build(**options_of(TEACHER)))
        power = options.get("weighting", {}).get("power")
        costs = self._costs.measure(objectives.build(**options))
        self.costs[name] = {**costs, "power": power}
        self.settings[name] = options

    def add_reference(self) -> None:
        """Measures other draws of the data, which is what a perfect objective would give."""
        self.rows = [row for row in self.rows if row["objective"] != REFERENCE]
        for name, oracle in ORACLES.items():
            other = torch.Generator().manual_seed(7)
            row = self._row(REFERENCE, name, None, lambda c, _, o=oracle, g=other: o.sample(c, g))
            self.rows.append({**row, "reached": None})

    def result(self, command: str) -> dict[str, Any]:
        """Everything, as it is written."""
        return {
            "budget": asdict(self.budget),
            "reached_below": REACHED_BELOW,
            "every": EVERY,
            "command": command,
            "commit": commit(),
            "machine": f"{machine()}, torch {torch.__version__}, one thread",
            "costs": self.costs,
            "rows": self.rows,
            "settings": self.settings,
        }

    def _rows(self, name: str, oracle_name: str) -> list[dict[str, Any]]:
        """One record for each number of evaluations: the default, and one where it can do that."""
        oracle = ORACLES[oracle_name]
        objective = objectives.build(**options_of(name))
        steps = [objective.default_steps]
        if steps != [1] and can_do(objective, 1):
            steps.insert(0, 1)
        curves: dict[int, list[tuple[int, float]]] = {nfe: [] for nfe in steps}

        def watch(done: int, network: Network) -> None:
            for nfe in steps:
                found = measure(oracle, sampler(objective, network, nfe), rows=EVERY_ROWS)
                curves[nfe].append((done, round(found["energy_distance"], 4)))

        teacher = self._teacher(oracle_name) if objective.teacher is not None else None
        network = train(objective, oracle, self.budget, teacher=teacher, every=EVERY, watch=watch)
        if name == TEACHER:
            self._teachers[oracle_name] = network
        return [
            {
                **self._row(name, oracle_name, nfe, sampler(objective, network, nfe)),
                "reached": reached(curves[nfe]),
                "curve": curves[nfe],
            }
            for nfe in steps
        ]

    def _row(self, name: str, oracle: str, nfe: int | None, of: Any) -> dict[str, Any]:
        found = {key: round(value, 5) for key, value in measure(ORACLES[oracle], of).items()}
        row = {"objective": name, "oracle": oracle, "nfe": nfe, **found}
        if oracle == FIGURE_ORACLE:
            generator = torch.Generator().manual_seed(11)
            condition = ORACLES[oracle].conditions(FIGURE_SAMPLES, generator)
            noise = torch.randn(FIGURE_SAMPLES, 1, 1, generator=generator)
            pairs = torch.cat([condition, of(condition, noise)[:, 0]], dim=1)
            row["samples"] = [[round(value, 3) for value in pair] for pair in pairs.tolist()]
        return row

    def _teacher(self, oracle: str) -> Network:
        if oracle not in self._teachers:
            objective = objectives.build(**options_of(TEACHER))
            self._teachers[oracle] = train(objective, ORACLES[oracle], self.budget)
        return self._teachers[oracle]


def sampler(objective: Objective, network: Network, nfe: int) -> Any:
    """Conditions and noise -> chunks, at so many network evaluations."""
    return lambda condition, noise: sample(objective, network, condition, noise, nfe)


def options_of(name: str) -> dict[str, Any]:
    """What ``objective=NAME`` selects, its name among them."""
    return dict(compose_preset("mp1_small", [f"objective={name}"]).objective)


def can_do(objective: Objective, steps: int) -> bool:
    """Whether the objective samples with so many network evaluations."""
    try:
        objective.check_steps(steps)
    except ConfigError:
        return False
    return True


def reached(curve: list[tuple[int, float]]) -> int | None:
    """The first step from which on the energy distance stays low."""
    first = None
    for done, value in curve:
        if value >= REACHED_BELOW:
            first = None
        elif first is None:
            first = done
    return first


def main() -> None:
    """Measures what is missing and writes the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    parser.add_argument("--figure", type=Path, default=Path("docs/objectives_oracles.png"))
    parser.add_argument("--only", nargs="+", choices=objectives.names(), metavar="NAME")
    parser.add_argument("--again", nargs="+", choices=objectives.names(), default=[])
    parser.add_argument("--steps", type=int, default=Budget.steps)
    given = parser.parse_args()
    torch.set_num_threads(1)
    study = Study(given.out, Budget(steps=given.steps))
    command = "python -m benchmarks.objectives.oracles --out " + str(given.out)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    for name in given.again:
        study.settings.pop(name, None)
    study.add_reference()
    for name in sorted(given.only or objectives.names(), key=lambda name: name != TEACHER):
        study.add(name)
        result = study.result(command)
        study.path.write_text(json.dumps(result) + "\n", encoding="utf-8")
        given.out.with_suffix(".md").write_text(table(result), encoding="utf-8")
        draw(given.figure, result)
        print(f"{name}: {study.costs[name]}", flush=True, file=sys.stderr)


if __name__ == "__main__":
    main()
