"""Options of components: a value of another type is refused by name, wherever it stands."""

import dataclasses
import typing

import pytest

from mfpolicy import encoders, networks, objectives
from mfpolicy.errors import ConfigError
from mfpolicy.objectives.coupling import Coupling
from mfpolicy.objectives.dispersive import Dispersive
from mfpolicy.objectives.guidance import Guidance
from mfpolicy.objectives.interpolant import Interpolant
from mfpolicy.objectives.noise import Noise
from mfpolicy.objectives.time_sampling import TimeSampling
from mfpolicy.objectives.weighting import Weighting
from mfpolicy.options import check_type, parse_options

REGISTRIES = (objectives.OBJECTIVES, networks.NETWORKS, encoders.ENCODERS)
BLOCKS = (Coupling, Dispersive, Guidance, Interpolant, Noise, TimeSampling, Weighting)
SCALARS = (int, float, str, bool, int | None, float | None)
OPTIONS = [
    (registry, name, option)
    for registry in REGISTRIES
    for name in registry.names()
    for option, hint in typing.get_type_hints(registry.get(name).__init__).items()
    if hint in SCALARS
]
FIELDS = [(block, field.name) for block in BLOCKS for field in dataclasses.fields(block)]


@pytest.mark.parametrize(("registry", "name", "option"), OPTIONS)
def test_an_option_of_another_type_is_refused(registry, name, option):
    required = {
        key: 4
        for key, parameter in registry.options(name).items()
        if parameter.default is parameter.empty
    }
    with pytest.raises(ConfigError, match=f"^{option} must be "):
        registry.build(name, **{**required, option: [1]})


@pytest.mark.parametrize(("block", "field"), FIELDS)
def test_a_field_of_another_type_is_refused(block, field):
    with pytest.raises(ConfigError, match=rf"^{block.__name__}\.{field} must be "):
        parse_options(block, {field: [1]})


@pytest.mark.parametrize(
    ("value", "hint"),
    [(1, int), (1, float), (1.5, float), ("a", str), (True, bool), (None, float | None), (2, int)],
)
def test_values_of_the_type_are_taken(value, hint):
    check_type("option", value, hint)


@pytest.mark.parametrize(
    ("value", "hint", "words"),
    [
        (1.5, int, "a whole number"),
        (True, int, "a whole number"),
        (False, float, "a number"),
        (1, bool, "true or false"),
        (None, float, "a number"),
        ("1", float | None, "a number or null"),
        (True, float | None, "a number or null"),
        (3, str, "text"),
    ],
)
def test_values_of_another_type_are_named(value, hint, words):
    with pytest.raises(ConfigError, match=f"option must be {words}"):
        check_type("option", value, hint)
