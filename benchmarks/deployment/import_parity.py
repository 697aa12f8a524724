"""How far imported policies are from the released code: the same noise, weights, observation.

    python -m benchmarks.deployment.import_parity --mp1 PATH --flowpolicy PATH --dp3 PATH \\
        --out benchmarks/results/…-import-parity

PATH is a checkout of LogSSim/MP1, zql-kk/FlowPolicy, YanjieZe/3D-Diffusion-Policy. Each policy is
built by its own code with random weights (dead taps among them), saved as its training script
does, imported, written to a run folder and loaded from there; then both predict.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.cells import machine
from benchmarks.deployment.reference_policies import RELEASED, build, configuration
from mfpolicy.deployment.importing import import_checkpoint, write_run
from mfpolicy.policy import load_policy

BATCH, BOUND = 8, 1e-5
SMALL = [64, 128, 256]


def compare(name: str, checkout: Path, widths: list[int] | None, seeds: int) -> dict[str, Any]:
    """One policy at one size."""
    released = RELEASED[name]
    config = configuration(released, checkout, widths)
    torch.manual_seed(0)
    theirs = build(released, checkout, config)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "latest.ckpt"
        torch.save({"cfg": config, "state_dicts": {"ema_model": theirs.state_dict()}}, path)
        imported = import_checkpoint(path)
        write_run(imported, Path(folder) / "run", checkpoint=path, weights="ema")
        ours = load_policy(Path(folder) / "run")
    differences = [_difference(theirs, ours, seed) for seed in range(seeds)]
    return {
        "policy": name,
        "repository": released.repository,
        "widths": list(config.policy.down_dims),
        "horizon": ours.spec.horizon,
        "weights": sum(p.numel() for p in theirs.parameters()),
        "kept": imported.kept,
        "dropped": sum(each.weights for each in imported.dropped),
        "nfe": ours.objective.default_steps,
        "observations": BATCH * seeds,
        "largest_action": max(largest for largest, _ in differences),
        "max_difference": max(difference for _, difference in differences),
    }


@torch.no_grad()
def _difference(theirs: nn.Module, ours: Any, seed: int) -> tuple[float, float]:
    spec = ours.spec
    generator = torch.Generator().manual_seed(100 + seed)
    observation = {
        "point_cloud": torch.rand(BATCH, spec.n_obs_steps, 512, 3, generator=generator),
        "agent_pos": torch.randn(BATCH, spec.n_obs_steps, spec.state_dim, generator=generator),
    }
    with_colours = torch.cat([observation["point_cloud"]] * 2, dim=-1)
    torch.manual_seed(seed)
    predict: Any = theirs.predict_action
    expected = predict({**observation, "point_cloud": with_colours})["action"]
    torch.manual_seed(seed)
    noise = torch.randn(BATCH, spec.horizon, spec.action_dim)
    found = ours.predict(observation, noise=noise)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    return float(expected.abs().max()), float((found - expected).abs().max())


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    observations = result["rows"][0]["observations"]
    lines = [
        "# Imported policies beside the released code",
        "",
        "Released policies with random weights, dead taps among them, imported from the file that "
        "their training script writes, but with pickle in place of dill; the same noise, weights "
        f"and observations ({observations} of them). Difference: the largest of an action, in its "
        "own units. DP3 samples with diffusers 0.11.1's formulas, which its notes pin.",
        "",
        f"Command: `{result['command']}`; {result['machine']}.",
        "",
        "| policy | repository | widths | horizon | NFE | weights | kept | dropped "
        "| largest action | largest difference |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        widths = "/".join(map(str, row["widths"]))
        lines.append(
            f"| {row['policy']} | {row['repository']} | {widths} | {row['horizon']} | {row['nfe']} "
            f"| {row['weights'] / 1e6:.1f} M | {row['kept'] / 1e6:.1f} M "
            f"| {row['dropped'] / 1e6:.1f} M | {row['largest_action']:.2f} "
            f"| {row['max_difference']:.1e} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Compares every policy whose checkout is given, small and at the paper's size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option in ("mp1", "flowpolicy", "dp3"):
        parser.add_argument(f"--{option}", type=Path)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--small", action="store_true", help="not at the paper's size")
    parser.add_argument("--out", type=Path, help="path without suffix")
    given = parser.parse_args()
    rows = []
    for name, released in RELEASED.items():
        checkout = getattr(given, released.kind)
        for widths in [SMALL] if given.small else [SMALL, None]:
            if checkout is not None:
                rows.append(compare(name, checkout, widths, given.seeds))
                print(rows[-1], flush=True)
    worst = max(row["max_difference"] for row in rows)
    if given.out is not None:
        command = "python -m benchmarks.deployment.import_parity --mp1 … --flowpolicy … --dp3 …"
        where = f"{machine()}, torch {torch.__version__}"
        result = {"command": command, "machine": where, "bound": BOUND, "rows": rows}
        given.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
        given.out.with_suffix(".md").write_text(table(result))
    if worst > BOUND:
        raise SystemExit(f"actions differ by {worst:.1e}, more than {BOUND:.0e}")


if __name__ == "__main__":
    main()
