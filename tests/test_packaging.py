"""What is shipped: the wheel holds everything, and the pins agree with one another."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import mfpolicy

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ROS = ("rclpy", "tf2_ros", "_msgs", "_srvs", "_interfaces")
OURS = ("mfpolicy", "envs", "real_robot")


def _requirements(*extras):
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return [r for r in map(Requirement, lines) if r.name != PROJECT["name"]]


def _constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {_normal(r.name): next(iter(r.specifier)) for r in pinned}


def _normal(name):
    return name.lower().replace("_", "-").replace(".", "-")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The wheel, built without network and unpacked to a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_the_packages_and_every_shipped_file(unpacked):
    def files(root):
        found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
        return {str(path) for path in found if "__pycache__" not in path.parts}

    assert files(unpacked / "mfpolicy" / "configs") == files(ROOT / "configs")
    for name in OURS:
        shipped = {path for path in files(unpacked / name) if not path.startswith("configs/")}
        assert shipped == files(ROOT / name)
    assert (unpacked / "mfpolicy" / "py.typed").is_file()
    top = {path.name for path in unpacked.iterdir() if not path.name.endswith(".dist-info")}
    assert top == set(OURS)


def test_the_wheel_runs_by_itself_from_an_empty_folder(unpacked, tmp_path):
    code = (
        "import mfpolicy, mfpolicy.paths as paths, mfpolicy.cli as cli\n"
        "print(paths.config_dir())\n"
        "raise SystemExit(cli.main(['train', 'policy=mp1', '--cfg']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[0] == str(unpacked / "mfpolicy" / "configs")
    assert "name: mp1" in done.stdout


def test_the_wheel_knows_its_version_licence_and_command(unpacked):
    (info,) = unpacked.glob("*.dist-info")
    assert info.name == f"mfpolicy-{mfpolicy.__version__}.dist-info"
    assert (info / "licenses" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert "mfpolicy = mfpolicy.cli:main" in (info / "entry_points.txt").read_text()


def test_constraints_pin_a_version_within_every_requirement():
    pinned = _constraints()
    for requirement in _requirements("test", "dev"):
        pin = pinned[_normal(requirement.name)]
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version), requirement


def test_constraints_cover_everything_that_gets_installed():
    pinned, seen = set(_constraints()), set()
    todo = [(r.name, r.extras) for r in _requirements("test", "dev")]
    while todo:
        name, extras = todo.pop()
        if (name, frozenset(extras)) in seen:
            continue
        seen.add((name, frozenset(extras)))
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            environments = [{"extra": extra} for extra in (*extras, "")]
            if needed.marker is None or any(map(needed.marker.evaluate, environments)):
                todo.append((needed.name, needed.extras))
    by_hardware = ("nvidia-", "triton", "cuda-", "setuptools", "pip")
    names = {_normal(name) for name, _ in seen}
    assert {name for name in names - pinned if not name.startswith(by_hardware)} == set()


def test_constraints_hold_no_path_and_no_local_version():
    text = (ROOT / "constraints.txt").read_text()
    assert "+" not in text
    assert "/" not in text
    assert "@" not in text
    assert "torch==2.13.0\n" in text


def test_every_import_is_declared_as_a_dependency():
    needed = _requirements("convert", "export", "server", "view")
    declared = {_normal(requirement.name) for requirement in needed}
    providers = metadata.packages_distributions()
    undeclared = {}
    for name, path in _third_party_imports():
        if not {_normal(provider) for provider in providers.get(name, [])} & declared:
            undeclared[name] = str(path)
    assert undeclared == {}


def _third_party_imports():
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    names = [node.module]
                for name in (name.partition(".")[0] for name in names):
                    if "ros2" in path.parts and name.endswith(ROS):
                        continue  # comes with the robot's own ROS
                    if name not in sys.stdlib_module_names and name not in OURS:
                        yield name, path


def test_the_version_of_the_package_is_the_installed_one():
    assert metadata.version("mfpolicy") == mfpolicy.__version__
    assert metadata.metadata("mfpolicy")["Requires-Python"] is not None
