"""The recipe for an encoder in CONTRIBUTING.md, followed to the letter in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = re.compile(r"```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture
def followed(tmp_path):
    """A copy of the project in which the steps of the recipe were done."""
    for name in ("mfpolicy", "envs", "configs", "tests/encoders"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    recipe = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add an encoder")[2]
    recipe = recipe.partition("\n## ")[0]
    paths = re.findall(r"`((?:mfpolicy|configs)/[\w/]+\.\w+)`", recipe)
    blocks = CODE.findall(recipe)
    assert len(paths) == len(blocks) == 3
    for path, block in zip(paths, blocks, strict=True):
        target = tmp_path / path
        assert target.exists() == path.endswith("__init__.py")
        before = target.read_text() if target.exists() else ""
        target.write_text(before + block)
    return tmp_path


def _python(folder, *words):
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_line_offers_the_new_encoder(followed):
    done = _python(followed, "-m", "mfpolicy", "train", "encoder=linear_max", "--help")
    assert done.returncode == 0, done.stderr
    assert "encoder=linear_max" in done.stdout
    assert "encoder.output_dim=64" in done.stdout
    assert "size of a frame's point feature" in done.stdout


def test_the_registry_tests_cover_the_new_encoder(followed):
    words = ["-m", "pytest", "-v", "-p", "no:cacheprovider", "tests/encoders/test_registry.py"]
    done = _python(followed, *words)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("[linear_max] PASSED") >= 3
