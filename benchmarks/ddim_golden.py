"""Samples of diffusers' DDIM scheduler, for the test that compares this package with them.

Run it in an environment that has diffusers, once with a current version and once with 0.11.1, whose
scheduler treats predicted samples otherwise:

    python benchmarks/ddim_golden.py tests/objectives/ddim_golden.json

The network is a formula, x̂ = 1.3 tanh(0.8 z + 0.3 i / 100), so that clipping and
every level matter.
"""

import json
import sys
from pathlib import Path

import diffusers
import torch

STEPS = (1, 3, 10, 30)


def denoise(z: torch.Tensor, level: int) -> torch.Tensor:
    return 1.3 * torch.tanh(0.8 * z + 0.3 * level / 100)


def sample(steps: int, noise: torch.Tensor) -> torch.Tensor:
    scheduler = diffusers.DDIMScheduler(
        num_train_timesteps=100,
        beta_schedule="squaredcos_cap_v2",
        clip_sample=True,
        set_alpha_to_one=True,
        steps_offset=0,
        prediction_type="sample",
    )
    scheduler.set_timesteps(steps)
    z = noise
    for level in scheduler.timesteps.tolist():
        z = scheduler.step(denoise(z, level), level, z).prev_sample
    return z


def main(path: Path) -> None:
    noise = torch.linspace(-2, 2, 9, dtype=torch.float64)
    golden = json.loads(path.read_text()) if path.is_file() else {}
    golden[diffusers.__version__] = {
        "noise": noise.tolist(),
        "samples": {str(steps): sample(steps, noise).tolist() for steps in STEPS},
    }
    path.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
