"""The backend ``onnx``: the exported graph in ONNX Runtime, without a file."""

from __future__ import annotations

import numpy as np

from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.backends.base import BACKENDS, Target
from mfpolicy.deployment.backends.tensors import network_bytes


@BACKENDS.register("onnx")
class OnnxBackend:
    """Any policy on a CPU, for those that have no packed loops: its small operations become few.

    The graph is translated when the policy is compiled, in some seconds, and farthest-point
    sampling of an encoder is as many steps of it as there are centres.

    Raises:
        BackendError: a package is not installed.
        ConfigError: the weights do not fit a graph in one piece.
    """

    precisions = ("float32",)
    devices = ("cpu",)
    encoded_ns = None

    def __init__(self, module: ActionModule, target: Target) -> None:
        from mfpolicy.deployment.export.onnx_model import build_model
        from mfpolicy.deployment.export.packages import require_packages
        from mfpolicy.deployment.export.traced import INPUTS
        from mfpolicy.deployment.onnx_policy import open_session

        require_packages("onnx", what="backend=onnx")
        self.weight_bytes = network_bytes(module)
        self._names = INPUTS
        self._session = open_session(build_model(module).SerializeToString(), target.threads)

    def __call__(
        self, point_cloud: np.ndarray, agent_pos: np.ndarray, noise: np.ndarray
    ) -> np.ndarray:
        """Runs the session."""
        given = dict(zip(self._names, (point_cloud, agent_pos, noise), strict=True))
        return np.asarray(self._session.run(None, given)[0])
