"""What time adds to the modulation of a network, the same at every decision."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.objectives.velocity import ConditionalVelocity


class TimeShare:
    """The share of (r, t), and of guidance where it is an input; each pair is computed once.

    Args:
        module: a policy whose network adds linear layers of time, guidance and condition.
    """

    def __init__(self, module: ActionModule) -> None:
        self._module = module
        self._known: dict[tuple[float, float], np.ndarray] = {}

    def __call__(self, r: float, t: float) -> np.ndarray:
        """Returns the share at (r, t), (F,) float32."""
        if (r, t) not in self._known:
            network: Any = self._module.policy.network
            with torch.inference_mode():
                nothing = torch.zeros(1, network.film_time.out_features)
                guided: Any = self._module.policy.objective.at_scale(
                    ConditionalVelocity(network, nothing), self._module.guidance_scale
                )
                time = network.time(torch.tensor([r]), torch.tensor([t]))
                share = network.film_time(torch.nn.functional.mish(time))
                self._known[r, t] = (share + guided.prepared)[0].numpy()
        return self._known[r, t]
