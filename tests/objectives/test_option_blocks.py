"""The blocks of options that objectives share: the same everywhere, in Python and in YAML."""

import dataclasses

import pytest
import yaml

from mfpolicy import objectives
from mfpolicy.objectives.average_velocity import LineRegression
from mfpolicy.objectives.coupling import Coupling
from mfpolicy.objectives.dispersive import Dispersive
from mfpolicy.objectives.guidance import Guidance
from mfpolicy.objectives.interpolant import Interpolant
from mfpolicy.objectives.noise import Noise
from mfpolicy.objectives.weighting import Weighting
from mfpolicy.paths import config_dir

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
    if not isinstance(objective, LineRegression):
        return
    assert {"time", "weighting", "dispersive"} <= known
    for block in known & set(SHARED):
        assert isinstance(getattr(objective, block), SHARED[block])


@pytest.mark.parametrize(
    "name", [n for n in NAMES if "p_end" in str(_values(config_dir() / "objective" / f"{n}.yaml"))]
)
def test_a_share_of_rows_can_be_the_deployed_interval(name):
    """The end that is deployed, (0, 1) or t = 1 for objectives that place r themselves."""
    import torch

    objective = objectives.build(name, time={"p_end": 1.0})
    _, t = objective.times(torch.zeros(400, 1, 1), torch.Generator().manual_seed(0))
    assert (t == 1).float().mean() >= 0.2
