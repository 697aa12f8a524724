"""``mfpolicy data check`` and ``info``: what is printed, JSON on stdout, the exit codes."""

import dataclasses
import json

import numpy as np
import pytest
import zarr

from mfpolicy.cli import main
from mfpolicy.config import compose
from mfpolicy.data.checking import CheckLimits
from mfpolicy.data.store import open_dataset


def _nan(path):
    zarr.open_array(str(path), path="data/state", mode="r+")[48 + 7, 1] = np.nan


def _repeat_seed(path):
    zarr.open_array(str(path), path="meta/episode_seed", mode="r+")[1] = 100


@pytest.mark.parametrize(
    ("damage", "words", "code"),
    [
        (None, [], 0),
        (_repeat_seed, [], 0),
        (_repeat_seed, ["strict=true"], 1),
        (_nan, [], 1),
        (None, ["limits.min_steps=100", "strict=true"], 1),
    ],
)
def test_the_exit_code_says_whether_there_are_errors(smooth, capsys, damage, words, code):
    if damage is not None:
        damage(smooth)
    assert main(["data", "check", str(smooth), *words]) == code
    assert str(smooth) in capsys.readouterr().out.replace("\n", "")


def test_check_says_where_and_what_to_do(smooth, capsys):
    _nan(smooth)
    main(["data", "check", str(smooth)])
    out = " ".join(capsys.readouterr().out.split())
    assert "error nan data/state, episode 1, step 7" in out
    assert "leave the episode out" in out
    assert "1 errors, 0 warnings" in out


def test_check_as_json_is_all_there_is_on_stdout(smooth, capsys):
    _nan(smooth)
    assert main(["data", "check", str(smooth), "json=true"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [finding["code"] for finding in report["findings"]] == ["nan"]


def test_fix_writes_what_is_sound_and_says_what_it_did(smooth, tmp_path, capsys):
    _nan(smooth)
    before = {f: f.read_bytes() for f in smooth.rglob("*") if f.is_file()}
    out = tmp_path / "mended.zarr"
    assert main(["data", "check", str(smooth), "fix=true", f"out={out}", "json=true"]) == 0
    repair = json.loads(capsys.readouterr().out)["repair"]
    assert repair["actions"] == ["episode 1 left out: nan in data/state at step 7"]
    assert open_dataset(out).seeds.tolist() == [100, 102]
    assert open_dataset(out).spec.extra["repaired"]["actions"] == repair["actions"]
    assert {f: f.read_bytes() for f in smooth.rglob("*") if f.is_file()} == before
    _repeat_seed(smooth)
    assert main(["data", "check", str(smooth), "fix=true", f"out={out}2"]) == 0
    assert "episode 1 left out" in capsys.readouterr().out


def test_a_repair_that_is_refused_hides_no_finding(smooth, tmp_path, capsys):
    _nan(smooth)
    assert main(["data", "check", str(smooth), "fix=true", f"out={smooth}"]) == 2
    assert "1 errors, 0 warnings" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check", "nothing.zarr"], "must exist"),
        (["info", "nothing.zarr"], "must exist"),
        (["check", "d.zarr", "fix=true"], "out="),
        (["check", "d.zarr", "out=x"], "fix=true"),
        (["check", "d.zarr", "limits.jump_factor=0.5"], "jump_factor must be above 1"),
        (["check", "d.zarr", "limits.jumps=3"], "no option"),
        (["info", "d.zarr", "values=some"], "values must be one of"),
        (["info", "d.zarr", "bins=0"], "bins must be at least 1"),
    ],
)
def test_a_wrong_word_is_explained(capsys, words, told):
    assert main(["data", *words]) == 2
    assert told in capsys.readouterr().err


def test_the_defaults_of_the_command_are_those_of_the_library():
    limits = compose("data check", ["d.zarr"]).limits
    assert dataclasses.asdict(limits) == dataclasses.asdict(CheckLimits())


def test_info_shows_the_facts_and_a_histogram(smooth, capsys):
    assert main(["data", "info", str(smooth)]) == 0
    out = capsys.readouterr().out
    for fact in ("toy/smooth", "schema version 1", "20 Hz", "144, 7.2 s", "corner2", "action 2"):
        assert fact in out
    assert "█" in out


def test_info_as_json_is_all_there_is_on_stdout(smooth, capsys):
    assert main(["data", "info", str(smooth), "json=true", "values=none"]) == 0
    assert json.loads(capsys.readouterr().out)["episodes"]["count"] == 3


def test_what_a_stranger_wrote_is_shown_without_being_obeyed(smooth, capsys):
    text = (smooth / "zarr.json").read_text()
    evil = r"\u001b]0;owned\u0007[bold]\ud800"
    (smooth / "zarr.json").write_text(text.replace("toy/smooth", evil))
    assert main(["data", "info", str(smooth)]) == 0
    assert main(["data", "check", str(smooth)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[bold]" in out
    assert out.encode()
