"""Every method file composes, and says all that its method differs in."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.small_grid import composed
from mfpolicy.config import benchmark_grid
from mfpolicy.config.benchmark_grid import DATA
from mfpolicy.config.benchmarking import Method, method_names, read_method
from mfpolicy.config.composition import group_choices
from mfpolicy.config.convert import leaves, to_mapping
from mfpolicy.config.overrides import parse
from mfpolicy.errors import ConfigError

ISSUE = {
    "mp1", "mp1_plus", "flowpolicy", "dp3", "dp3_legacy", "flow_matching", "flow_matching_1",
    "regression", "mip",
}  # fmt: skip


def _config(method, *words):
    given = ("suite=smoke", "out=o", f"methods={method}", *words)
    return dict(leaves(to_mapping(composed(*given).cells[0].config)))


@pytest.fixture(scope="module")
def plain():
    """What a method without words of its own would be."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(benchmark_grid, "read_method", lambda _: Method("plain", ()))
        return _config("regression", "data=d")


def test_the_methods_that_were_promised_are_there():
    assert set(method_names()) >= ISSUE


@pytest.mark.parametrize("method", method_names())
def test_a_method_differs_where_its_file_says(method, plain):
    said = parse(read_method(method).overrides)
    assert read_method(method).what
    parts = tuple(f"{o.key}." if o.key in group_choices("train") else o.key for o in said)
    config = _config(method, "data=d")
    differing = {key for key in {*config, *plain} if config.get(key) != plain.get(key)}
    outside = {key for key in differing if not key.startswith(parts)} - {"out"}
    assert not outside


def test_no_two_methods_are_the_same_or_have_another_budget():
    cells = composed("suite=smoke", "out=o", f"methods={','.join(method_names())}").cells
    assert len({str(dataclasses.replace(cell.config, out="o")) for cell in cells}) == len(cells)
    assert len({cell.config.training for cell in cells}) == 1
    assert len({cell.config.policy for cell in cells}) == 1
    own = {str(cell.config.encoder) for cell in cells if cell.method != "mp1_unet"}
    assert len(own) == 1, "mp1_unet alone has the paper's"
    assert DATA.count("{") == 3
    assert len({cell.config.data for cell in cells}) == 1


def test_methods_that_are_the_same_are_told(monkeypatch):
    same = Method("twice", ("objective=mip",))
    monkeypatch.setattr(benchmark_grid, "read_method", lambda _: same)
    with pytest.raises(ConfigError, match="regression and mip are the same"):
        composed("suite=smoke", "out=o", "methods=regression,mip")


@pytest.mark.parametrize(
    ("method", "word"),
    [
        ("mp1", "objective=regression"),
        ("flow_matching", "objective.inference_steps=4"),
        ("flow_matching_1", "objective.inference_steps=4"),
        ("dp3", "network.top_frequency=1.0"),
        ("mp1_unet", "network.widths=[64,64,64]"),
    ],
)
def test_what_makes_a_method_is_refused_on_the_command_line(method, word):
    with pytest.raises(ConfigError, match=f"what makes a method.*where {method} is"):
        composed("suite=smoke", "out=o", f"methods={method}", word)


def test_dp3_and_its_legacy_differ_in_the_sampler_alone():
    one, other = (_config(name, "data=d") for name in ("dp3", "dp3_legacy"))
    assert {key for key in one if one[key] != other[key]} == {"objective.sampler", "out"}
