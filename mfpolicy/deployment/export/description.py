"""What an exported policy says of itself, and how it is read back from the file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.onnx_policy import open_session
from mfpolicy.errors import RunError
from mfpolicy.policy import Policy
from mfpolicy.policy.files import SPEC_KEY
from mfpolicy.versions import installed_versions

EXPORT_KEY = "mfpolicy_export"
RECIPE_KEY = "mfpolicy_point_recipe"
PACKAGES = ("mfpolicy", "torch", "onnx", "onnxscript", "onnxruntime")
_VARYING = ("versions", "parity", "opset")
"""Facts in which two exports of the same policy with the same options may differ."""


def describe(module: ActionModule, *, format: str, precision: str) -> dict[str, Any]:
    """Returns the facts of an export as plain JSON-able values."""
    return {
        "format": format,
        "precision": precision,
        "steps": module.steps,
        "noise_scale": module.noise_scale,
        "guidance_scale": module.guidance_scale,
        "n_action_steps": module.spec.n_action_steps,
        "noise": dataclasses.asdict(module.policy.objective.noise),
        "weights_sha256": fingerprint(module.policy),
        "versions": installed_versions(PACKAGES),
    }


def texts(module: ActionModule, facts: Mapping[str, Any]) -> dict[str, str]:
    """Returns what a file carries beside its graph, JSON by key."""
    spec = module.spec.to_dict()
    return {
        SPEC_KEY: json.dumps(spec),
        RECIPE_KEY: json.dumps(spec["recipe"]),
        EXPORT_KEY: json.dumps(facts),
    }


def same_export(stored: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether both are exports of one policy with the same options."""
    kept = [{k: v for k, v in side.items() if k not in _VARYING} for side in (stored, facts)]
    return kept[0] == kept[1]


def stored_facts(path: Path) -> dict[str, Any] | None:
    """Returns the facts of the export at ``path``; None if it is no whole export."""
    try:
        return json.loads(_stored_text(path))
    except (OSError, KeyError, ValueError, RunError, zipfile.BadZipFile):
        return None


def fingerprint(policy: Policy) -> str:
    """SHA-256 of the policy's weights, by name."""
    digest = hashlib.sha256()
    for name, value in sorted(policy.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _stored_text(path: Path) -> str:
    if path.is_dir():
        return json.dumps(json.loads((path / "spec.json").read_text(encoding="utf-8"))["export"])
    if path.suffix == ".pt2":
        with zipfile.ZipFile(path) as archive:
            (name,) = (n for n in archive.namelist() if n.endswith(f"/{EXPORT_KEY}"))
            return archive.read(name).decode()
    return open_session(path, 1).get_modelmeta().custom_metadata_map[EXPORT_KEY]
