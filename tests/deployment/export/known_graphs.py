"""Exports of policies that have been exported before, without building their graph again."""

import json

import onnx
import pytest

from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.export import ExportReport, export_policy, onnx_model
from mfpolicy.deployment.export.description import describe

_built: dict[str, bytes] = {}


def export_known(run, out=None, **options) -> ExportReport:
    """As ``export_policy``, which takes the graph of a policy that was built here before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_model, "build_model", _build_once)
        return export_policy(run, out, **options)


def _build_once(module: ActionModule, build=onnx_model.build_model) -> onnx.ModelProto:
    facts = describe(module, format="", precision="")
    key = json.dumps([facts, module.spec.to_dict()], sort_keys=True)
    if key not in _built:
        _built[key] = build(module).SerializeToString()
    return onnx.ModelProto.FromString(_built[key])
