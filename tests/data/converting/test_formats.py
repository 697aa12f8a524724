"""What holds for every format that there is, because it is registered."""

import sys
from pathlib import Path

import pytest

from mfpolicy.cli.datasets import VERBS
from mfpolicy.data.converting import EXPORTS, FORMATS, Target
from mfpolicy.data.converting.ros.layout import PointsLayout, RosLayout
from mfpolicy.errors import BackendError, ConfigError, DataError

DOCS = (Path(__file__).parents[3] / "docs" / "data.md").read_text()


@pytest.mark.parametrize("name", FORMATS.names())
def test_every_format_is_documented_and_recognises_nothing_in_nothing(name, tmp_path):
    assert f"\n| `{name}` | " in DOCS
    kind = FORMATS.get(name)
    assert not kind.recognises(tmp_path)
    assert not kind.recognises(tmp_path / "missing")
    (tmp_path / "text").write_text("hello")
    assert not kind.recognises(tmp_path / "text")


@pytest.mark.parametrize("name", FORMATS.names())
def test_every_format_refuses_what_is_of_another(name, tmp_path):
    (tmp_path / "text").write_text("hello " * 100)
    with pytest.raises((DataError, ConfigError)):
        FORMATS.get(name)(tmp_path / "text", Target())


@pytest.mark.parametrize("name", EXPORTS.names())
def test_every_format_that_is_written_is_documented_and_read(name):
    assert f"\n| `{name}` | " in DOCS.partition("| `to=` |")[2]
    assert name in FORMATS.names()
    assert "convert" in VERBS


@pytest.mark.parametrize(("name", "package"), [("robomimic", "h5py"), ("ros", "rosbags.typesys")])
def test_a_missing_package_is_told_with_its_remedy(name, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "a.bag").write_text("#ROSBAG V2.0")
    layout = None
    if name == "ros":
        stream = [{"topic": "/a", "field": "data"}]
        layout = RosLayout(10.0, stream, stream, cloud=PointsLayout("/p"))
    with pytest.raises(
        BackendError, match=r"needs the package .*pip install 'mfpolicy\[convert\]'"
    ):
        FORMATS.get(name)(tmp_path / "a.bag", Target(layout=layout))
