"""A torch.export archive is the policy, read with PyTorch alone."""

import json

import pytest
import torch

from mfpolicy.deployment.export import export_policy
from mfpolicy.errors import ConfigError
from mfpolicy.policy import load_policy


@pytest.fixture(scope="module")
def archive(run, tmp_path_factory):
    return export_policy(run, tmp_path_factory.mktemp("archive") / "policy.pt2", format="torch")


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_it_decides_as_the_policy_does_at_any_batch(archive, run, observation, batch):
    frames, noise = observation
    index = torch.arange(batch) % 3
    cloud, state, e = (
        torch.from_numpy(x)[index] for x in (frames["point_cloud"], frames["agent_pos"], noise)
    )
    expected = load_policy(run).predict({"point_cloud": cloud, "agent_pos": state}, noise=e)
    with torch.no_grad():
        actual = torch.export.load(archive.path).module()(cloud, state, e)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-4)


def test_it_tells_what_it_is(archive, run):
    extra = {"mfpolicy_spec": "", "mfpolicy_export": "", "mfpolicy_point_recipe": ""}
    torch.export.load(archive.path, extra_files=extra)
    spec = load_policy(run).spec.to_dict()
    assert json.loads(extra["mfpolicy_spec"]) == spec
    assert json.loads(extra["mfpolicy_point_recipe"]) == spec["recipe"]
    assert json.loads(extra["mfpolicy_export"])["format"] == "torch"


def test_the_same_export_again_is_found(archive, run):
    again = export_policy(run, archive.path, format="torch")
    assert again.existed
    assert again.parity == archive.parity


def test_it_holds_float32_alone(run, tmp_path):
    with pytest.raises(ConfigError, match="float32"):
        export_policy(run, tmp_path / "p.pt2", format="torch", precision="int8")
