"""A folder that a robot runs with numpy and onnxruntime alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mfpolicy.deployment.export import robot_policy
from mfpolicy.policy import PolicySpec
from mfpolicy.types import APART

MODEL, SPEC, LOADER = "policy.onnx", "spec.json", "policy.py"
REQUIREMENTS = """\
numpy>=1.26
onnxruntime>=1.22
# fpsample    samples large clouds ten times as fast; the same points come out
"""

_README = """\
# {title}

A visuomotor policy, exported by mfpolicy {version}. It runs without mfpolicy and without PyTorch:

```bash
pip install -r requirements.txt
python example.py
```

`example.py`, on points that are drawn at random:

```python
{example}```

- It sees the last {n_obs_steps} frames. Each is the points of the scene, (M, {point_dim}), in
  metres in the world frame{colors}, as many as the camera gives, and the robot's state,
  ({state_dim},). `observe` crops and samples them as in training.
- It returns {n_action_steps} actions, ({n_action_steps}, {action_dim}), in the units of the
  demonstrations, for the next {n_action_steps} control steps{rate}.
- It knows nothing of safety: limits of speed, force and space are the robot's.
- Weights: {precision}. On random inputs its actions are within {error:.1e} of the width of their
  range of the policy's own.

{camera}
`policy.onnx` is the whole policy, normalisation included: point_cloud (B, {n_obs_steps}, P,
{point_dim}), agent_pos (B, {n_obs_steps}, {state_dim}) and noise (B, {horizon}, {action_dim}) →
actions (B, {n_action_steps}, {action_dim}). `spec.json` is what the policy was built and trained
with. `policy.py` is the loader.
"""

_CAMERA = """\
A point cloud is made as in training from the depth image of the camera `{camera}`
({pixels}at {camera_position} m{more}): every pixel's point in the world
frame, kept inside the box {crop_min} to {crop_max} m, then {points} of them by farthest-point
sampling.
"""

_EXAMPLE = """\
import numpy as np

from policy import RobotPolicy

policy = RobotPolicy(threads=1, seed=0)
random = np.random.default_rng(0)
low, high = policy.crop_min or (-1, -1, -1), policy.crop_max or (1, 1, 1)
for step in range(3):
    points = random.uniform(low, high, (2000, 3))  # what the camera sees
    points = np.pad(points, ((0, 0), (0, policy.spec["point_dim"] - 3)))
    if policy.apart:
        points = [points] * len(policy.cameras)  # what each of them sees
    policy.observe(points, np.zeros(policy.spec["state_dim"]))
    actions = policy.act()
    print(actions.shape, actions[0])
"""


def write_around(model: Path, spec: PolicySpec, facts: Mapping[str, Any]) -> None:
    """Writes what goes with the model into its folder.

    Args:
        model: ``policy.onnx``, which is there.
        spec: of the policy.
        facts: of the export, with its parity.
    """
    folder = model.parent
    content = {"spec": spec.to_dict(), "export": dict(facts)}
    (folder / SPEC).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    shutil.copyfile(robot_policy.__file__, folder / LOADER)
    (folder / "example.py").write_text(_EXAMPLE, encoding="utf-8")
    (folder / "requirements.txt").write_text(REQUIREMENTS, encoding="utf-8")
    (folder / "README.md").write_text(_readme(spec, facts), encoding="utf-8")


def _readme(spec: PolicySpec, facts: Mapping[str, Any]) -> str:
    rate = f" at {spec.control_rate_hz:g} Hz" if spec.control_rate_hz else ""
    return _README.format(
        **spec.to_dict(),
        title=spec.task or "A policy",
        version=facts["versions"]["mfpolicy"],
        example=_EXAMPLE,
        rate=rate,
        colors=", then red, green and blue from 0 to 255" if spec.color else "",
        precision=facts["precision"],
        error=facts["parity"]["error"],
        camera=_camera(spec.recipe) if spec.recipe else "",
    )


def _camera(recipe: Mapping[str, Any]) -> str:
    more = ""
    if recipe.get("camera_orientation"):
        more += f", turned to the world by the quaternion w, x, y, z {recipe['camera_orientation']}"
    if recipe.get("hidden_bodies"):
        more += f", which does not see {', '.join(recipe['hidden_bodies'])}"
    for view in recipe.get("further_cameras", ()):
        more += f", and of `{view['camera']}` at {view['camera_position']} m"
        if view.get("camera_orientation"):
            more += f", turned by {view['camera_orientation']}"
    if recipe.get("further_cameras"):
        more += (
            ", each camera's points sampled by themselves"
            if recipe.get("clouds") == APART
            else ", all cameras' points together"
        )
    size = recipe["image_size"]
    pixels = f"{size} x {size} pixels, " if size else ""
    return _CAMERA.format(**recipe, pixels=pixels, more=more)
