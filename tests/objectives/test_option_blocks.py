"""The blocks of options that objectives share: the same everywhere, in Python and in YAML."""

import dataclasses

import pytest
import torch
import yaml

from mfpolicy import objectives
from mfpolicy.objectives import ConditionalVelocity
from mfpolicy.objectives.average_velocity import LineRegression
from mfpolicy.objectives.coupling import Coupling
from mfpolicy.objectives.dispersive import Dispersive
from mfpolicy.objectives.guidance import Guidance
from mfpolicy.objectives.interpolant import Interpolant
from mfpolicy.objectives.noise import Noise
from mfpolicy.objectives.weighting import Weighting
from mfpolicy.paths import config_dir
from oracles.gaussian import Gaussian, GaussianNetwork

SHARED = {
    "weighting": Weighting,
    "guidance": Guidance,
    "dispersive": Dispersive,
    "noise": Noise,
    "coupling": Coupling,
    "path": Interpolant,
}
FILES = sorted((config_dir() / "objective").glob("*.yaml"))
NAMES = objectives.names()


def _values(path) -> dict:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("name", NAMES)
def test_an_objective_is_the_same_in_python_and_in_yaml(name):
    values = _values(config_dir() / "objective" / f"{name}.yaml")
    assert values.pop("name") == name
    plain, configured = objectives.build(name), objectives.build(name, **values)
    for option in objectives.OBJECTIVES.options(name):
        if hasattr(plain, option):
            assert getattr(plain, option) == getattr(configured, option), option


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shared_block_has_all_its_options_in_every_file(path):
    values = _values(path)
    known = objectives.OBJECTIVES.options(values["name"])
    for block, options in SHARED.items():
        if block in values:
            fields = {field.name for field in dataclasses.fields(options)}
            # ddim has no box, and a path that must be straight has no choice to write down
            without = {"bound", "edge"} if values["name"] == "ddim" else set()
            assert fields - set(values[block]) == without & fields, block
            assert set(values[block]) <= fields
    assert set(known) - set(values) <= {"path"}


@pytest.mark.parametrize("name", NAMES)
def test_whoever_regresses_on_lines_has_the_shared_options(name):
    known = set(objectives.OBJECTIVES.options(name))
    objective = objectives.build(name)
    assert isinstance(objective.noise, Noise)
    # the energy score's network is evaluated at several noises of a row, which are to be alike
    assert "dispersive" in known or name == "energy_score"
    if not isinstance(objective, LineRegression):
        return
    assert {"time", "weighting"} <= known
    for block in known & set(SHARED):
        assert isinstance(getattr(objective, block), SHARED[block])


@pytest.mark.parametrize(
    "name", [n for n in NAMES if "dispersive" in objectives.OBJECTIVES.options(n)]
)
@pytest.mark.parametrize("source", ["network", "encoder"])
def test_a_networks_features_are_spread_by_whoever_offers_it(name, source):
    class Watching(GaussianNetwork):
        def features(self, z, r, t, prepared):
            return super().features(z, r, t, prepared)[0], [prepared * (1 + z.flatten(1))]

    x = 0.3 + 0.4 * torch.randn(30, 1, 1, generator=torch.Generator().manual_seed(0))
    condition = torch.linspace(0, 1, 30)[:, None].requires_grad_()
    teacher = Gaussian(0.3, 0.4)
    velocity = ConditionalVelocity(Watching(0.4), condition, condition=condition, teacher=teacher)
    losses, spread = [], None
    for options in ({}, {"dispersive": {"kind": "info_nce_l2", "weight": 2.0, "source": source}}):
        objective = objectives.build(name, **options)
        loss, diagnostics = objective.loss(velocity, x, torch.Generator().manual_seed(5))
        losses.append(loss)
        spread = diagnostics.get("dispersive")
    assert spread is not None
    assert not spread.requires_grad
    torch.testing.assert_close(losses[1], losses[0] + 2.0 * spread)
    (slope,) = torch.autograd.grad(losses[1] - losses[0], condition)
    assert slope.abs().max() > 0


@pytest.mark.parametrize(
    "name", [n for n in NAMES if "p_end" in str(_values(config_dir() / "objective" / f"{n}.yaml"))]
)
def test_a_share_of_rows_can_be_the_deployed_interval(name):
    """The end that is deployed, (0, 1) or t = 1 for objectives that place r themselves."""
    objective = objectives.build(name, time={"p_end": 1.0})
    _, t = objective.times(torch.zeros(400, 1, 1), torch.Generator().manual_seed(0))
    assert (t == 1).float().mean() >= 0.2
