"""Parts of samplers that not every objective has: guidance, boxes, solvers."""

import numpy as np
import pytest
import torch

from deployment.export.conftest import SMALLEST, policy_of
from mfpolicy.deployment.export import export_policy
from mfpolicy.deployment.onnx_policy import load_onnx
from mfpolicy.policy import save_policy

CASES = {
    "guidance scale": ("improved_meanflow", {"scale_input": {"active": True}}, 1, 2.5),
    "reflecting box": ("meanflow", {"noise": {"kind": "bounded", "edge": "reflect"}}, 2, None),
    "heun": ("flow_matching", {"solver": "heun"}, 2, None),
    "legacy ddim": ("ddim", {"sampler": "legacy"}, 2, None),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_it_is_in_the_graph(case, tmp_path, observation):
    objective, options, steps, scale = CASES[case]
    policy = policy_of(objective, network=SMALLEST, **options)
    save_policy(policy, tmp_path)
    report = export_policy(tmp_path, steps=steps, guidance_scale=scale)
    frames, noise = observation
    expected = policy.predict(
        frames, noise=torch.from_numpy(noise), steps=steps, guidance_scale=scale
    )
    actual = load_onnx(report.path, threads=1)(frames, noise=noise)
    np.testing.assert_allclose(actual, expected.numpy(), rtol=0, atol=1e-4)
